#include "cases.h"
#include <math.h>

static void sorts_nodes_by_date_and_edges_by_child(void **state)
{
    struct network *network = *state;
    build(network, "b 2000, undated, a 2000, late 2010, early 1990",
          "early>late, b>a, a~late, early~a, b~late");
    assert_string_equal(keys(network), "early a b late undated");
    assert_string_equal(edges(network), "b>a early~a early>late a~late b~late");
    assert_int_equal(network->nodes[find(network, "late")].parent_count, 3);
    assert_int_equal(network_primary_parent(network, find(network, "late")), find(network, "early"));
    assert_int_equal(network_primary_parent(network, find(network, "early")), NETWORK_NONE);
    assert_int_equal(network->nodes[find(network, "undated")].child_count, 0);
}

static void children_come_in_the_order_of_their_dates(void **state)
{
    struct network *network = *state;
    build(network, "root 1990, x 2003, y 2001, z 2002", "root>x, root~y, root>z");
    const struct network_node *root = &network->nodes[find(network, "root")];
    assert_int_equal(root->child_count, 3);
    assert_string_equal(network->nodes[network->edges[root->children[0]].child].key, "y");
    assert_string_equal(network->nodes[network->edges[root->children[1]].child].key, "z");
    assert_string_equal(network->nodes[network->edges[root->children[2]].child].key, "x");
}

static void orders_parents_before_children_even_against_time(void **state)
{
    struct network *network = *state;
    build(network, "a 2000, b 2001, c 2002, d 2003", "d>c, c>b, b>a");
    size_t place[4];
    for (size_t i = 0; i < 4; i++)
        place[network->order[i]] = i;
    for (size_t i = 0; i < network->edge_count; i++)
        assert_true(place[network->edges[i].parent] < place[network->edges[i].child]);
}

static void an_empty_network_is_one(void **state)
{
    struct network *network = *state;
    struct error error = ERROR_INIT;
    assert_int_equal(network_link(network, &arena, &error), STATUS_OK);
    assert_int_equal(network_find(network, "a"), NETWORK_NONE);
}

static void refuse(struct network *network, const char *nodes, const char *edges, const char *message)
{
    struct error error = ERROR_INIT;
    *network = (struct network){0};
    assert_int_equal(try_build(network, nodes, edges, &error), STATUS_OUTSIDE);
    assert_string_equal(error.message, message);
}

static void refuses_circles_and_two_primary_parents(void **state)
{
    refuse(*state, "a 2000, b 2001, c 2002", "a>b, b>c, c>a", "the descent of variant 'c' runs in a circle");
    refuse(*state, "a 2000, b 2001", "a>b, b~a", "the descent of variant 'b' runs in a circle");
    refuse(*state, "a 2000", "a>a", "variant 'a' is its own parent");
    refuse(*state, "a 2000, b 2001, c 2002", "a>c, b>c", "variant 'c' has two primary parents, 'a' and 'b'");
}

static void refuses_edges_to_nowhere(void **state)
{
    struct network *network = *state;
    struct error error = ERROR_INIT;
    struct network_edge edge = {.parent = 0, .child = 7, .primary = true};
    struct network_node node = {.key = "a"};
    *network = (struct network){.nodes = &node, .node_count = 1, .edges = &edge, .edge_count = 1};
    assert_int_equal(network_link(network, &arena, &error), STATUS_OUTSIDE);
    edge = (struct network_edge){.parent = NETWORK_NONE, .child = 0};
    assert_int_equal(network_link(network, &arena, &error), STATUS_OUTSIDE);
}

static void finds_nodes_and_suggests_the_nearest(void **state)
{
    struct network *network = *state;
    struct error error = ERROR_INIT;
    size_t node;
    build(network, "mamba2 2024, mamba 2023, gla 2023", "mamba>mamba2");
    assert_int_equal(network_require(network, "gla", &node, &error), STATUS_OK);
    assert_string_equal(network->nodes[node].key, "gla");
    assert_int_equal(network_require(network, "mamba3", &node, &error), STATUS_USAGE);
    assert_string_equal(error.message, "unknown variant 'mamba3': did you mean 'mamba2'?");
}

static void compares_dates_as_far_as_both_go(void **state)
{
    assert_true(date_compare("2023-07-17", "2023-12-11") < 0);
    assert_true(date_compare("2024", "2023-12-11") > 0);
    assert_int_equal(date_compare("2023", "2023-12-11"), 0);
    assert_int_equal(date_compare("2023-12", "2023-12-11"), 0);
    assert_int_equal(date_compare(NULL, "2023"), 0);
    assert_int_equal(date_compare("2023", NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_NETWORK(sorts_nodes_by_date_and_edges_by_child),
        WITH_NETWORK(children_come_in_the_order_of_their_dates),
        WITH_NETWORK(orders_parents_before_children_even_against_time),
        WITH_NETWORK(an_empty_network_is_one),
        WITH_NETWORK(refuses_circles_and_two_primary_parents),
        WITH_NETWORK(refuses_edges_to_nowhere),
        WITH_NETWORK(finds_nodes_and_suggests_the_nearest),
        cmocka_unit_test(compares_dates_as_far_as_both_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
