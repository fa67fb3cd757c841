#include "cases.h"
#include "lineage/agreement.h"
#include "lineage/selection.h"
#include <math.h>

#define NODES "a 2000, b 2001, c 2002, d 2003, e 2004, f 2005, g 2006, x 2000"
#define DESCENT "a>b, b>c, c>d, d>e, e>f, c>g, x~e, x~g"

static struct parent_verdict verdict_of(const char *second, const char *key)
{
    struct network first = {0}, other = {0};
    struct agreement agreement;
    build(&first, NODES, DESCENT);
    build(&other, NODES, second);
    network_agreement(&first, &other, &arena, &agreement);
    for (size_t i = 0; i < agreement.count; i++)
        if (strcmp(first.nodes[agreement.verdicts[i].node].key, key) == 0)
            return agreement.verdicts[i];
    fail_msg("no verdict on '%s'", key);
    return (struct parent_verdict){0};
}

static void names_how_parents_are_related(void **state)
{
    static const struct {
        const char *second, *key;
        enum kinship kinship;
        int steps, distance;
    } cases[] = {
        {"e>f", "f", KIN_SAME, 0, 1},        {"d>f", "f", KIN_ANCESTOR, 1, 2},
        {"b>f", "f", KIN_ANCESTOR, 3, 4},    {"x>e", "e", KIN_DONOR, 1, 1},
        {"x>f", "f", KIN_RELATIVE, 1, 2},    {"d>g", "g", KIN_DESCENDANT, 1, -1},
        {"f>g", "g", KIN_DESCENDANT, 3, -1}, {"x>d", "d", KIN_DISTANT, -1, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parent_verdict verdict = verdict_of(cases[i].second, cases[i].key);
        assert_int_equal(verdict.kinship, cases[i].kinship);
        assert_int_equal(verdict.steps, cases[i].steps);
        assert_int_equal(verdict.distance, cases[i].distance);
    }
}

static void counts_those_that_are_near(void **state)
{
    struct network first = {0}, other = {0};
    struct agreement agreement;
    build(&first, NODES, DESCENT);
    build(&other, NODES, "a>b, a>c, a>d, a>e, a>f, x>g");
    network_agreement(&first, &other, &arena, &agreement);
    assert_int_equal(agreement.count, 6);
    assert_int_equal(agreement_within(&agreement, 0, false), 1);
    assert_int_equal(agreement_within(&agreement, 1, false), 2);
    assert_int_equal(agreement_within(&agreement, 2, false), 3);
    assert_int_equal(agreement_within(&agreement, 0, true), 2); /* g's donor x */
    assert_int_equal(agreement_within(&agreement, 9, true), 6);
}

static void leaves_out_roots_and_strangers(void **state)
{
    struct network first = {0}, other = {0};
    struct agreement agreement;
    build(&first, "a 2000, b 2001, c 2002", "a>b");
    build(&other, "a 2000, b 2001, c 2002, z 1999", "z>b, b>c");
    network_agreement(&first, &other, &arena, &agreement);
    assert_int_equal(agreement.count, 0);
}

/* ---- parts of a network ---- */

static void selects_what_descends_from_a_variant(void **state)
{
    struct network network = {0}, part;
    struct error error = ERROR_INIT;
    build(&network, NODES, DESCENT);
    assert_int_equal(network_select_descent(&network, "d", &arena, &part, &error), STATUS_OK);
    assert_string_equal(keys(&part), "d e f");
    assert_string_equal(edges(&part), "d>e e>f");
    assert_int_equal(network_select_descent(&network, "nn", &arena, &part, &error), STATUS_USAGE);
}

static void selects_families_with_their_ancestors(void **state)
{
    struct network network = {0}, part;
    struct error error = ERROR_INIT;
    build(&network, NODES, DESCENT);
    for (size_t i = 0; i < network.node_count; i++)
        network.nodes[i].family = strcmp(network.nodes[i].key, "e") == 0 ? "late" : "early";
    assert_int_equal(network_select_families(&network, "late", &arena, &part, &error), STATUS_OK);
    assert_null(strstr(keys(&part), "f"));
    assert_non_null(strstr(keys(&part), "d e"));
    assert_int_equal(network_select_families(&network, "late,early", &arena, &part, &error), STATUS_OK);
    assert_int_equal(part.node_count, network.node_count);
    assert_int_equal(network_select_families(&network, "lat", &arena, &part, &error), STATUS_USAGE);
}

static void selects_variants_with_their_ancestors(void **state)
{
    struct network network = {0}, part;
    struct error error = ERROR_INIT;
    build(&network, NODES, DESCENT);
    assert_int_equal(network_select_variants(&network, (const char *const[]){"e"}, 1, &arena, &part, &error),
                     STATUS_OK);
    assert_null(strstr(keys(&part), "f"));
    assert_non_null(strstr(keys(&part), "d e"));
    assert_int_equal(network_select_variants(&network, (const char *const[]){"nn"}, 1, &arena, &part, &error),
                     STATUS_USAGE);
}

static void selects_what_is_near_a_variant(void **state)
{
    struct network network = {0}, part;
    struct error error = ERROR_INIT;
    build(&network, NODES, DESCENT);
    assert_int_equal(network_select_near(&network, "e", 1, &arena, &part, &error), STATUS_OK);
    assert_string_equal(keys(&part), "x d e f");
    assert_string_equal(edges(&part), "d>e x~e e>f");
    assert_int_equal(network_select_near(&network, "e", 0, &arena, &part, &error), STATUS_OK);
    assert_string_equal(keys(&part), "e");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_NETWORK(names_how_parents_are_related),
        WITH_NETWORK(counts_those_that_are_near),
        WITH_NETWORK(leaves_out_roots_and_strangers),
        WITH_NETWORK(selects_what_descends_from_a_variant),
        WITH_NETWORK(selects_what_is_near_a_variant),
        WITH_NETWORK(selects_families_with_their_ancestors),
        WITH_NETWORK(selects_variants_with_their_ancestors),
    };
    return cmocka_run_group_tests_name("agreement", tests, NULL, NULL);
}
