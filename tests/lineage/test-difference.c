#include "../catalog/fixture.h"
#include "lineage/difference.h"
#include "lineage/network.h"

static const char *name_of(const struct slot_filling *filling)
{
    return !filling ? "-" : filling->kernel ? filling->kernel : filling->planned;
}

/* "mixer: retention / gated-linear-attention" a line, with "=" for slots that are the same. */
static const char *slots_text(struct fixture *fixture, const struct difference *difference)
{
    const char *text = "";
    for (size_t i = 0; i < difference->slot_count; i++) {
        const struct slot_difference *slot = &difference->slots[i];
        text = arena_format(&fixture->arena, "%s%s/%s %s: %s %s %s", text, slot->layer_a ? slot->layer_a : "",
                            slot->layer_b ? slot->layer_b : "", slot->slot, name_of(slot->a),
                            slot->same ? "=" : "|", name_of(slot->b));
        for (size_t j = 0; j < slot->option_count; j++)
            text = arena_format(&fixture->arena, "%s, %s %s|%s", text, slot->options[j].name,
                                slot->options[j].a ? slot->options[j].a : "-",
                                slot->options[j].b ? slot->options[j].b : "-");
        text = arena_format(&fixture->arena, "%s\n", text);
    }
    return text;
}

static struct difference compare(struct fixture *fixture, const char *a, const char *b)
{
    struct catalog *catalog = fixture_open(fixture);
    struct variant_card card_a, card_b;
    struct difference difference;
    struct error error = ERROR_INIT;
    assert_int_equal(catalog_card(catalog, a, &fixture->arena, &card_a, &error), STATUS_OK);
    assert_int_equal(catalog_card(catalog, b, &fixture->arena, &card_b, &error), STATUS_OK);
    assert_int_equal(
        difference_of(catalog, &card_a.variant, &card_b.variant, &fixture->arena, &difference, &error),
        STATUS_OK);
    catalog_close(catalog);
    return difference;
}

static void slots_are_compared_with_their_options(void **state)
{
    struct fixture *fixture = *state;
    struct difference difference = compare(fixture, "retnet", "gla");
    assert_string_equal(slots_text(fixture, &difference), "/ mixer: retention | gated-linear-attention\n"
                                                          "/ ffn: mlp | gated-mlp\n"
                                                          "/ norm: layernorm | rmsnorm\n");
    difference = compare(fixture, "transformer", "retnet");
    assert_string_equal(slots_text(fixture, &difference), "/ mixer: attention | retention\n"
                                                          "/ ffn: mlp = mlp\n"
                                                          "/ norm: layernorm = layernorm\n");
}

static void options_of_one_kernel_are_compared_by_value(void **state)
{
    struct fixture *fixture = *state;
    fixture_edit(fixture, "variants/retnet.json", "\"kernel\": \"retention\"",
                 "\"kernel\": \"attention\", \"heads\": 8.0, \"window\": 64");
    struct difference difference = compare(fixture, "transformer", "retnet");
    assert_string_equal(slots_text(fixture, &difference), "/ mixer: attention | attention, window -|64\n"
                                                          "/ ffn: mlp = mlp\n"
                                                          "/ norm: layernorm = layernorm\n");
}

static void layers_of_patterns_are_paired_by_likeness(void **state)
{
    struct fixture *fixture = *state;
    struct difference difference = compare(fixture, "gla", "samba");
    assert_string_equal(
        slots_text(fixture, &difference),
        "/linear mixer: gated-linear-attention | gated-linear-attention, heads 4|-, expand 0.5|-, "
        "normal false|-, tags [\"a\", 2]|-\n"
        "/linear ffn: gated-mlp | mlp\n"
        "/linear norm: rmsnorm | layernorm\n"
        "/window mixer: - | local-attention\n"
        "/window ffn: - | mlp\n"
        "/window norm: - | layernorm\n");
    difference = compare(fixture, "samba", "samba");
    for (size_t i = 0; i < difference.slot_count; i++)
        assert_true(difference.slots[i].same);
    assert_int_equal(difference.slot_count, 6);
}

static void characters_are_compared_in_the_order_of_the_vocabulary(void **state)
{
    struct fixture *fixture = *state;
    struct difference difference = compare(fixture, "transformer", "gla");
    assert_int_equal(difference.character_count, 2);
    assert_string_equal(difference.characters[0].character, "mixing");
    assert_string_equal(difference.characters[1].character, "decay");
    assert_string_equal(difference.characters[1].a, "none");
    assert_string_equal(difference.characters[1].b, "data-dependent");
    assert_false(difference.characters[1].same);
}

static void the_network_is_read_from_the_catalogue(void **state)
{
    struct fixture *fixture = *state;
    struct catalog *catalog = fixture_open(fixture);
    struct network network;
    struct error error = ERROR_INIT;
    assert_int_equal(network_from_catalog(catalog, &fixture->arena, &network, &error), STATUS_OK);
    size_t gla = network_find(&network, "gla"), samba = network_find(&network, "samba");
    assert_true(gla != NETWORK_NONE && samba != NETWORK_NONE);
    assert_string_equal(network.nodes[network_primary_parent(&network, gla)].key, "retnet");
    assert_string_equal(network.edges[network.nodes[gla].primary].changed, "the fixed decay becomes a gate");
    assert_int_equal(network.nodes[gla].parent_count, 2);
    assert_true(network.edges[network.nodes[gla].parents[0]].primary);
    assert_true(network.nodes[gla].runnable);
    assert_false(network.nodes[samba].runnable);
    assert_string_equal(network.nodes[gla].date, "2023-12-11");
    catalog_close(catalog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(slots_are_compared_with_their_options),
        WITH_FIXTURE(options_of_one_kernel_are_compared_by_value),
        WITH_FIXTURE(layers_of_patterns_are_paired_by_likeness),
        WITH_FIXTURE(characters_are_compared_in_the_order_of_the_vocabulary),
        WITH_FIXTURE(the_network_is_read_from_the_catalogue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
