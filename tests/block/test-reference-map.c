/* How a catalogue's reference turns a published config into a composition, and published names into ours. */
#include "block/reference_map.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A reference of a composition with every vocabulary of options. */
static const char composition_json[] =
    "{\"position\": {\"kernel\": \"rotary\"}, \"norm\": {\"kernel\": \"layernorm\"},"
    " \"mixer\": {\"kernel\": \"attention\"}, \"ffn\": {\"kernel\": \"mlp\"}, \"memory\": {\"kernel\": null, "
    "\"planned\": \"m\"}}";
static const char options_json[] =
    "{\"dim\": \"width\", \"depth\": \"layers\", \"n_head\": \"mixer.heads\", \"theta\": \"position.theta\","
    " \"biases\": [\"mixer.bias\", \"ffn.bias\"], \"dropout\": null,"
    " \"act\": {\"option\": \"ffn.activation\", \"values\": {\"gelu_new\": \"gelu_tanh\", \"relu\": "
    "\"relu\"}},"
    " \"rope\": {\"values\": {\"true\": {}, \"false\": {\"position\": null}, \"null\": {\"position.theta\": "
    "7}}},"
    " \"rank\": {\"option\": \"mixer.window\", \"values\": {\"auto\": 3}, \"others\": true},"
    " \"mode\": {\"words\": {\"wide\": {\"mixer.window\": 9}, \"bare\": {\"position\": null}}},"
    " \"size\": {\"option\": \"mixer.window\", \"when\": \"local\"},"
    " \"wide\": {\"option\": \"mixer.window\", \"with\": {\"mixer.bias\": true}},"
    " \"span\": {\"option\": \"mixer.window\", \"times\": 0.5, \"plus\": 1},"
    " \"heads\": {\"options\": [\"mixer.heads\", \"mixer.kv_heads\"]},"
    " \"local\": {\"values\": {\"true\": {\"mixer.window\": 4}, \"false\": {\"mixer.window\": 0}}}}";

struct fixture {
    cJSON *documents[4];
    struct composition composition;
    struct block_options options;
    struct error error;
    enum status status;
};

static cJSON *document(const char *json)
{
    cJSON *parsed = json ? cJSON_Parse(json) : NULL;
    assert_true(!json || parsed);
    return parsed;
}

static void map(struct fixture *f, const char *slot, const char *config, const char *fixed)
{
    *f = (struct fixture){
        {document(composition_json), document(options_json), document(fixed), document(config)}};
    struct reference_entry entry = {
        .composition = f->documents[0], .slot = slot, .options = f->documents[1], .fixed = f->documents[2]};
    struct json_at at = json_root(f->documents[3], "case.json");
    f->status = reference_map_config(&entry, &at, 32, &f->composition, &f->options, &f->error);
}

static void finish(struct fixture *f)
{
    if (!f->status)
        composition_release(&f->composition);
    for (int i = 0; i < 4; i++)
        cJSON_Delete(f->documents[i]);
}

static void expect(const char *config, const char *fixed, enum slot slot, const char *option,
                   const char *value)
{
    struct fixture f;
    char text[64];
    map(&f, "block", config, fixed ? fixed : "{\"memory\": null}");
    if (f.status)
        fail_msg("%s", f.error.message);
    const struct settings *settings = &f.composition.layers[0].slots[slot];
    if (!option)
        assert_true((settings->kernel != NULL) == (value != NULL));
    else
        assert_string_equal(settings_text(settings, option, text, sizeof text), value);
    finish(&f);
}

static void expect_refused(const char *slot, const char *config, enum status status, const char *message)
{
    struct fixture f;
    map(&f, slot, config, "{\"memory\": null}");
    assert_int_equal(f.status, status);
    if (!strstr(f.error.message, message))
        fail_msg("'%s' is not in '%s'", message, f.error.message);
    finish(&f);
}

static void sets_options(void **state)
{
    expect("{\"n_head\": 2}", NULL, SLOT_MIXER, "heads", "2");
    expect("{\"biases\": true}", NULL, SLOT_MIXER, "bias", "true");
    expect("{\"biases\": false}", NULL, SLOT_FFN, "bias", "false");
    expect("{\"act\": \"gelu_new\"}", NULL, SLOT_FFN, "activation", "gelu_tanh");
    expect("{\"dropout\": 0.1}", NULL, SLOT_MIXER, "heads", "8");
}

static void takes_null_for_the_published_default(void **state)
{
    expect("{\"n_head\": null, \"act\": null}", NULL, SLOT_MIXER, "heads", "8");
    expect("{\"rope\": null}", NULL, SLOT_POSITION, "theta", "7");
}

static void sets_what_is_fixed_before_the_config(void **state)
{
    static const char fixed[] = "{\"memory\": null, \"mixer.heads\": 4, \"ffn.activation\": \"relu\"}";
    expect("{}", fixed, SLOT_MIXER, "heads", "4");
    expect("{\"n_head\": 2}", fixed, SLOT_MIXER, "heads", "2");
    expect("{}", fixed, SLOT_FFN, "activation", "relu");
}

static void fills_and_empties_slots(void **state)
{
    expect("{\"rope\": true}", NULL, SLOT_POSITION, NULL, "rotary");
    expect("{\"rope\": false}", NULL, SLOT_POSITION, NULL, NULL);
    expect("{\"theta\": 500, \"rope\": false}", NULL, SLOT_POSITION, NULL, NULL);
    expect("{\"theta\": 500}",
           "{\"memory\": null, \"position\": {\"kernel\": \"rotary\", \"interleaved\": false}}",
           SLOT_POSITION, "theta", "500");
}

static void sets_an_option_only_when_another_is_given(void **state)
{
    expect("{\"size\": 16}", NULL, SLOT_MIXER, "window", "0");
    expect("{\"size\": 16, \"local\": false}", NULL, SLOT_MIXER, "window", "0");
    expect("{\"size\": 16, \"local\": true}", NULL, SLOT_MIXER, "window", "16");
    expect("{\"local\": true, \"size\": 16}", NULL, SLOT_MIXER, "window", "16");
    expect("{\"local\": true}", NULL, SLOT_MIXER, "window", "4");
}

static void translates_numbers(void **state)
{
    expect("{\"wide\": 9}", NULL, SLOT_MIXER, "window", "9");
    expect("{\"wide\": 9, \"biases\": null}", NULL, SLOT_MIXER, "bias", "true");
    expect("{\"wide\": null}", NULL, SLOT_MIXER, "bias", "false");
    expect("{\"span\": 8}", NULL, SLOT_MIXER, "window", "5");
    expect("{\"span\": 9}", NULL, SLOT_MIXER, "window", "5");
    expect("{\"span\": null}", NULL, SLOT_MIXER, "window", "0");
    expect_refused("block", "{\"span\": \"8\"}", STATUS_USAGE, "config: span: expected a number");
}

static void takes_what_is_not_listed_as_it_is(void **state)
{
    expect("{\"rank\": \"auto\"}", NULL, SLOT_MIXER, "window", "3");
    expect("{\"rank\": 5}", NULL, SLOT_MIXER, "window", "5");
    expect_refused("block", "{\"act\": \"tanh\"}", STATUS_USAGE, "unknown value 'tanh'");
}

static void finds_words_in_a_string(void **state)
{
    expect("{\"mode\": \"tall\"}", NULL, SLOT_MIXER, "window", "0");
    expect("{\"mode\": \"tall_wide_bare\"}", NULL, SLOT_MIXER, "window", "9");
    expect("{\"mode\": \"tall_wide_bare\"}", NULL, SLOT_POSITION, NULL, NULL);
    expect_refused("block", "{\"mode\": 1}", STATUS_USAGE, "config: mode: expected a string");
}

static void spreads_a_list_over_options(void **state)
{
    expect("{\"heads\": [4, 2]}", NULL, SLOT_MIXER, "heads", "4");
    expect("{\"heads\": [4, 2]}", NULL, SLOT_MIXER, "kv_heads", "2");
    expect("{\"heads\": [null, 2]}", NULL, SLOT_MIXER, "heads", "8");
    expect_refused("block", "{\"heads\": [4]}", STATUS_USAGE, "config: heads: expected a list of 2 values");
    expect_refused("block", "{\"heads\": 4}", STATUS_USAGE, "config: heads: expected a list of 2 values");
}

static void takes_width_and_layers(void **state)
{
    struct fixture f;
    map(&f, "block", "{\"dim\": 48, \"depth\": 3}", "{\"memory\": null}");
    assert_int_equal(f.status, STATUS_OK);
    assert_int_equal(f.options.width, 48);
    assert_int_equal(f.options.repeats, 3);
    assert_false(f.options.alone);
    finish(&f);
    map(&f, "block", "{}", "{\"memory\": null}");
    assert_int_equal(f.options.width, 32);
    finish(&f);
}

/* The names of the layers after one another, then how often they run. */
static void expect_layers(const char *config, const char *names, int repeats)
{
    cJSON *pattern = document("{\"pattern\": [{\"name\": \"a\", \"mixer\": {\"kernel\": \"attention\"}},"
                              " {\"name\": \"b\", \"ffn\": {\"kernel\": \"mlp\"}}]}");
    cJSON *options = document(
        "{\"depth\": \"layers\", \"heads\": \"a.mixer.heads\", \"every\": {\"values\": {\"3\": {\"pattern\": "
        "[\"a\", \"b\", \"b\"]}, \"7\": {\"pattern\": [\"b\", \"b\"]}, \"9\": {\"pattern\": [\"c\"]}}}}");
    cJSON *given = document(config);
    struct reference_entry entry = {.composition = pattern, .slot = "block", .options = options};
    struct json_at at = json_root(given, "case.json");
    struct composition composition;
    struct block_options chosen = {.repeats = 1};
    struct error error = ERROR_INIT;
    enum status status = reference_map_config(&entry, &at, 32, &composition, &chosen, &error);
    assert_int_equal(status, repeats ? STATUS_OK : STATUS_USAGE);
    for (int i = 0; !status && i < composition.count; i++)
        assert_int_equal(composition.layers[i].name[0], names[i]);
    if (!status) {
        assert_int_equal(composition.count, strlen(names));
        assert_int_equal(chosen.repeats, repeats);
        composition_release(&composition);
    }
    cJSON_Delete(pattern);
    cJSON_Delete(options);
    cJSON_Delete(given);
}

static void arranges_and_cuts_the_pattern(void **state)
{
    expect_layers("{\"depth\": 4}", "ab", 2);
    expect_layers("{\"depth\": 5, \"heads\": 4}", "ababa", 1);
    expect_layers("{\"depth\": 1}", "a", 1);
    expect_layers("{\"every\": 3}", "abb", 1);
    expect_layers("{\"every\": 3, \"depth\": 4}", "abba", 1);
    expect_layers("{\"every\": 7, \"heads\": 4}", "bb", 1); /* no layer has heads */
    expect_layers("{\"every\": 9}", "", 0);
    expect_layers("{\"depth\": 0}", "", 0);
}

static void keeps_the_slot_that_the_set_computes(void **state)
{
    struct fixture f;
    map(&f, "ffn", "{}", NULL);
    assert_int_equal(f.status, STATUS_OK); /* the planned memory is not needed */
    assert_true(f.options.alone);
    assert_null(f.composition.layers[0].slots[SLOT_MIXER].kernel);
    assert_null(f.composition.layers[0].slots[SLOT_POSITION].kernel);
    finish(&f);
    map(&f, "position", "{\"theta\": 5}", NULL);
    assert_int_equal(f.status, STATUS_OK);
    assert_non_null(f.composition.layers[0].slots[SLOT_MIXER].kernel);
    assert_non_null(f.composition.layers[0].slots[SLOT_POSITION].kernel);
    assert_null(f.composition.layers[0].slots[SLOT_NORM].kernel);
    finish(&f);
}

static void refuses_arguments_without_a_place(void **state)
{
    expect_refused("mixer", "{\"n_heads\": 2}", STATUS_USAGE,
                   "no place for the argument 'n_heads' (the kernels have: ");
    expect_refused("mixer", "{\"n_heads\": 2}", STATUS_USAGE, "mixer.heads");
    expect_refused("block", "{\"act\": \"swish\"}", STATUS_USAGE,
                   "config: act: unknown value 'swish': one of gelu_new, relu");
    expect_refused("block", "{\"n_head\": 0}", STATUS_USAGE,
                   "config: n_head: kernel 'attention': option 'heads' is from 1");
    expect_refused("block", "{\"depth\": 0}", STATUS_USAGE, "config: depth: ");
    expect_refused("ffn", "{\"n_head\": 2}", STATUS_USAGE,
                   "config: n_head: no kernel of this composition has");
    expect_refused("fnn", "{}", STATUS_USAGE, "unknown slot 'fnn': did you mean 'ffn'?");
}

static void says_no_while_a_kernel_is_planned(void **state)
{
    struct fixture f;
    map(&f, "block", "{}", NULL);
    assert_int_equal(f.status, STATUS_NO);
    finish(&f);
}

/* ---- Names ---- */

static void expect_name(const char *json, const char *published, const char *ours)
{
    cJSON *names = document(json);
    char name[64];
    bool wanted = reference_map_name(names, published, name, sizeof name);
    assert_true(wanted == (ours != NULL));
    if (ours)
        assert_string_equal(name, ours);
    cJSON_Delete(names);
}

static void maps_names_by_their_first_components(void **state)
{
    static const char names[] =
        "{\"attn\": \"mixer\", \"attn.c_attn\": \"mixer.qkv_proj\", \"attn.bias\": null,"
        " \"blocks.*.attn\": \"layers.*.mixer\", \"model\": \"\"}";
    expect_name(NULL, "q_proj.weight", "q_proj.weight");
    expect_name(names, "attn.c_proj.weight", "mixer.c_proj.weight");
    expect_name(names, "attn.c_attn.weight", "mixer.qkv_proj.weight");
    expect_name(names, "attn.bias", NULL);
    expect_name(names, "attention", "attention");
    expect_name(names, "blocks.11.attn.w", "layers.11.mixer.w");
    expect_name(names, "model", "");
    expect_name("{\"model\": \"\"}", "model.embed.weight", "embed.weight");
    expect_name("{\"*.*\": \"*.x.*\"}", "a.b.c", "a.x.b.c");
}

static void maps_names_with_flags(void **state)
{
    static const char names[] =
        "{\"attn\": {\"name\": \"mixer\", \"transposed\": true}, \"x\": {\"channels_first\": true}}";
    cJSON *map = document(names);
    expect_name(names, "attn.c_proj.weight", "mixer.c_proj.weight");
    expect_name(names, "x", "x");
    assert_true(reference_map_flag(map, "attn.c_proj.weight", "transposed"));
    assert_false(reference_map_flag(map, "x", "transposed"));
    assert_true(reference_map_flag(map, "x", "channels_first"));
    assert_false(reference_map_flag(map, "y", "channels_first"));
    cJSON_Delete(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_options),
        cmocka_unit_test(takes_null_for_the_published_default),
        cmocka_unit_test(sets_what_is_fixed_before_the_config),
        cmocka_unit_test(fills_and_empties_slots),
        cmocka_unit_test(sets_an_option_only_when_another_is_given),
        cmocka_unit_test(translates_numbers),
        cmocka_unit_test(takes_what_is_not_listed_as_it_is),
        cmocka_unit_test(finds_words_in_a_string),
        cmocka_unit_test(spreads_a_list_over_options),
        cmocka_unit_test(takes_width_and_layers),
        cmocka_unit_test(arranges_and_cuts_the_pattern),
        cmocka_unit_test(keeps_the_slot_that_the_set_computes),
        cmocka_unit_test(refuses_arguments_without_a_place),
        cmocka_unit_test(says_no_while_a_kernel_is_planned),
        cmocka_unit_test(maps_names_by_their_first_components),
        cmocka_unit_test(maps_names_with_flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
