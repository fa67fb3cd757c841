/* Compositions from JSON, their options by name, and single slots of them. */
#include "block/composition.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    cJSON *document;
    struct composition composition;
    struct error error;
    enum status status;
};

static void parse(struct fixture *f, const char *json)
{
    *f = (struct fixture){.document = NULL};
    if (json_parse("test", json, strlen(json), &f->document, &f->error))
        fail_msg("%s", f->error.message);
    struct json_at root = json_root(f->document, "test");
    f->status = composition_parse(&root, &f->composition, &f->error);
}

static void release(struct fixture *f)
{
    composition_release(&f->composition);
    cJSON_Delete(f->document);
}

static void expect_refused(const char *json, enum status status, const char *message)
{
    struct fixture f;
    parse(&f, json);
    assert_int_equal(f.status, status);
    assert_string_equal(f.error.message, message);
    assert_int_equal(f.composition.count, 0);
    release(&f);
}

static const char *value(const struct composition *composition, int layer, enum slot slot, const char *option)
{
    static char text[64];
    return settings_text(&composition->layers[layer].slots[slot], option, text, sizeof text);
}

static const char plain[] =
    "{\"norm\": {\"kernel\": \"rmsnorm\", \"placement\": \"post\", \"epsilon\": 0.5},"
    " \"position\": {\"kernel\": \"rotary\"}, \"mixer\": {\"kernel\": \"attention\", \"heads\": 4},"
    " \"ffn\": {\"kernel\": \"gated-mlp\", \"activation\": \"relu\"}}";
static const char pattern[] =
    "{\"pattern\": [{\"name\": \"near\", \"mixer\": {\"kernel\": \"attention\", \"window\": 8}},"
    " {\"name\": \"far\", \"mixer\": {\"kernel\": \"attention\"},"
    " \"ffn\": {\"kernel\": \"mlp\", \"bias\": false}}]}";

static void reads_a_plain_composition(void **state)
{
    struct fixture f;
    parse(&f, plain);
    assert_int_equal(f.status, STATUS_OK);
    assert_int_equal(f.composition.count, 1);
    assert_int_equal(f.composition.layers[0].placement, PLACEMENT_POST);
    assert_string_equal(value(&f.composition, 0, SLOT_MIXER, "heads"), "4");
    assert_string_equal(value(&f.composition, 0, SLOT_FFN, "activation"), "relu");
    assert_string_equal(value(&f.composition, 0, SLOT_NORM, "epsilon"), "0.5");
    assert_null(f.composition.layers[0].slots[SLOT_MEMORY].kernel);
    release(&f);
}

static void reads_a_pattern(void **state)
{
    struct fixture f;
    parse(&f, pattern);
    assert_int_equal(f.status, STATUS_OK);
    assert_int_equal(f.composition.count, 2);
    assert_string_equal(f.composition.layers[1].name, "far");
    assert_string_equal(value(&f.composition, 0, SLOT_MIXER, "window"), "8");
    assert_string_equal(value(&f.composition, 1, SLOT_MIXER, "window"), "0");
    assert_string_equal(value(&f.composition, 1, SLOT_FFN, "bias"), "false");
    release(&f);
}

static void refuses_what_is_no_composition(void **state)
{
    expect_refused("{\"mixer\": {\"kernel\": \"atention\"}}", STATUS_USAGE,
                   "unknown kernel 'atention': did you mean 'attention'?");
    expect_refused("{\"mixer\": {\"kernel\": \"mlp\"}}", STATUS_OUTSIDE,
                   "test: mixer.kernel: kernel 'mlp' fills the slot ffn");
    expect_refused("{\"mxier\": {\"kernel\": \"attention\"}}", STATUS_OUTSIDE,
                   "test: mxier: unknown slot 'mxier': did you mean 'mixer'?");
    expect_refused("{\"mixer\": {\"kernel\": \"attention\", \"headz\": 4}}", STATUS_USAGE,
                   "mixer.headz: kernel 'attention': unknown option 'headz': did you mean 'heads'?");
    expect_refused("{\"norm\": {\"kernel\": \"rmsnorm\", \"placement\": \"pro\"}}", STATUS_OUTSIDE,
                   "test: norm.placement: unknown placement 'pro': did you mean 'pre'?");
    expect_refused("{\"pattern\": []}", STATUS_OUTSIDE, "test: pattern: expected at least one layer");
    expect_refused("[]", STATUS_OUTSIDE, "test: expected an object, found an array");
}

static void says_no_for_a_kernel_that_is_planned(void **state)
{
    expect_refused("{\"mixer\": {\"kernel\": null, \"planned\": \"telepathy\"}}", STATUS_NO,
                   "mixer: the kernel 'telepathy' is not written yet");
}

static void sets_options_by_name(void **state)
{
    struct fixture f;
    parse(&f, pattern);
    assert_int_equal(composition_set(&f.composition, "heads", "2", &f.error), STATUS_OK);
    assert_string_equal(value(&f.composition, 0, SLOT_MIXER, "heads"), "2");
    assert_string_equal(value(&f.composition, 1, SLOT_MIXER, "heads"), "2");
    assert_int_equal(composition_set(&f.composition, "far.mixer.heads", "4", &f.error), STATUS_OK);
    assert_string_equal(value(&f.composition, 0, SLOT_MIXER, "heads"), "2");
    assert_string_equal(value(&f.composition, 1, SLOT_MIXER, "heads"), "4");
    assert_int_equal(composition_set(&f.composition, "mixer.bias", "true", &f.error), STATUS_OK);
    assert_string_equal(value(&f.composition, 1, SLOT_MIXER, "bias"), "true");
    assert_string_equal(value(&f.composition, 1, SLOT_FFN, "bias"), "false");
    assert_int_equal(composition_set(&f.composition, "theta", "4", &f.error), STATUS_USAGE);
    assert_non_null(strstr(f.error.message,
                           "no kernel of this composition has the option 'theta': they have mixer.heads"));
    assert_int_equal(composition_set(&f.composition, "near.ffn.bias", "true", &f.error), STATUS_USAGE);
    release(&f);
}

static void keeps_one_slot(void **state)
{
    struct fixture f;
    parse(&f, plain);
    assert_int_equal(composition_only(&f.composition, NULL, SLOT_FFN, &f.error), STATUS_OK);
    for (int slot = 0; slot < SLOT_COUNT; slot++)
        assert_true((f.composition.layers[0].slots[slot].kernel != NULL) == (slot == SLOT_FFN));
    release(&f);
    parse(&f, plain);
    assert_int_equal(composition_only(&f.composition, NULL, SLOT_POSITION, &f.error), STATUS_OK);
    for (int slot = 0; slot < SLOT_COUNT; slot++)
        assert_true((f.composition.layers[0].slots[slot].kernel != NULL) ==
                    (slot == SLOT_MIXER || slot == SLOT_POSITION));
    release(&f);
}

static void keeps_a_slot_of_one_layer(void **state)
{
    struct fixture f;
    parse(&f, pattern);
    assert_int_equal(composition_only(&f.composition, "near", SLOT_FFN, &f.error), STATUS_USAGE);
    assert_string_equal(f.error.message, "the composition has nothing in the slot ffn");
    assert_int_equal(composition_only(&f.composition, "middle", SLOT_FFN, &f.error), STATUS_USAGE);
    assert_int_equal(composition_only(&f.composition, "far", SLOT_FFN, &f.error), STATUS_OK);
    assert_int_equal(f.composition.count, 1);
    assert_string_equal(f.composition.layers[0].name, "far");
    release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_plain_composition),
        cmocka_unit_test(reads_a_pattern),
        cmocka_unit_test(refuses_what_is_no_composition),
        cmocka_unit_test(says_no_for_a_kernel_that_is_planned),
        cmocka_unit_test(sets_options_by_name),
        cmocka_unit_test(keeps_one_slot),
        cmocka_unit_test(keeps_a_slot_of_one_layer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
