#include "cases.h"
#include "lineage/tree.h"
#include "trees.h"
#include <math.h>

static void orders_nodes_depth_first(void **state)
{
    struct tree tree = tree_of("((a,b)c,(d,e)f)g;");
    const char *expected[] = {"g", "c", "a", "b", "f", "d", "e"};
    assert_int_equal(tree.count, 7);
    for (size_t i = 0; i < tree.count; i++)
        assert_string_equal(tree.nodes[tree.order[i]].name, expected[i]);
    assert_int_equal(tree.root_count, 1);
    assert_int_equal(tree.nodes[tree.first_root].child_count, 2);
}

static void refuses_parents_that_run_in_a_circle(void **state)
{
    struct tree tree = {0};
    struct error error = ERROR_INIT;
    tree_add(&tree, &trees, "a", TREE_NONE, NAN, NAN);
    tree_add(&tree, &trees, "b", 2, NAN, NAN);
    tree_add(&tree, &trees, "c", 1, NAN, NAN);
    assert_int_equal(tree_link(&tree, &trees, &error), STATUS_OUTSIDE);
    assert_string_equal(error.message, "the parents of a tree run in a circle");
}

static void takes_the_primary_edges_of_a_network(void **state)
{
    struct network network = {0};
    struct tree tree;
    build(&network, "a 2000, b 2001-01, c 2001-07-15, d", "a>b, b>c, a~c, b>d");
    tree_from_network(&network, &trees, &tree);
    assert_string_equal(tree.nodes[tree.nodes[node_named(&tree, "c")].parent].name, "b");
    assert_true(fabs(tree.nodes[node_named(&tree, "c")].length - 0.5) < 0.01);
    assert_true(isnan(tree.nodes[node_named(&tree, "d")].length)); /* no date */
    assert_true(isnan(tree.nodes[node_named(&tree, "a")].length));
    assert_int_equal(tree.root_count, 1);
}

static void roots_are_joined_in_time(void **state)
{
    struct network network = {0};
    struct tree tree;
    build(&network, "a 2000, b 2003, c 2004", "b>c");
    tree_from_network(&network, &trees, &tree);
    assert_string_equal(newick_of(&tree), "(a:0,(c:1)b:3);");
}

static void a_parent_that_is_younger_gives_no_negative_length(void **state)
{
    struct network network = {0};
    struct tree tree;
    build(&network, "a 2003, b 2001", "a>b");
    tree_from_network(&network, &trees, &tree);
    assert_true(tree.nodes[node_named(&tree, "b")].length == 0);
}

static void dates_are_years_in_the_middle_of_what_they_leave_open(void **state)
{
    assert_true(isnan(date_year(NULL)));
    assert_float_equal(date_year("2020"), 2020.5, 1e-9);
    assert_true(date_year("2020-01") > 2020 && date_year("2020-01") < 2020.09);
    assert_float_equal(date_year("2020-01-01"), 2020, 1e-9);
    assert_true(date_year("2020-12-31") < 2021);
}

static void joins_a_forest_under_a_root_without_a_name(void **state)
{
    struct tree forest = {0}, joined;
    struct error error = ERROR_INIT;
    size_t root = tree_add(&forest, &trees, "a", TREE_NONE, NAN, NAN);
    tree_add(&forest, &trees, "b", TREE_NONE, NAN, NAN);
    tree_add(&forest, &trees, "c", root, 2, NAN);
    assert_int_equal(tree_link(&forest, &trees, &error), STATUS_OK);
    assert_int_equal(forest.root_count, 2);
    tree_join(&forest, &trees, &joined);
    assert_int_equal(joined.root_count, 1);
    assert_string_equal(newick_of(&joined), "((c:2)a,b);");
    assert_string_equal(newick_of(&forest), "((c:2)a,b);");
}

static void reroots_on_a_branch(void **state)
{
    struct tree tree = tree_of("((a:1,b:2)0.9:3,(c:4,d:5)0.8:6);"), rerooted;
    tree_reroot(&tree, node_named(&tree, "a"), 0.5, &trees, &rerooted);
    assert_string_equal(newick_of(&rerooted), "((b:2,(c:4,d:5)0.8:9):0.5,a:0.5);");
}

/* Whatever branch a tree is rooted on, the ways between its named nodes stay as long. */
static void rerooting_keeps_all_ways(void **state)
{
    uint64_t seed = 1;
    for (int round = 0; round < 60; round++) {
        struct tree tree = random_tree(&seed, 3 + chance_below(&seed, 12), 0.3, 0.3), rerooted;
        size_t node;
        do
            node = chance_below(&seed, tree.count);
        while (tree.nodes[node].parent == TREE_NONE);
        if (round % 3 == 0)
            tree_reroot_at_middle(&tree, &trees, &rerooted);
        else
            tree_reroot(&tree, node, chance_real(&seed), &trees, &rerooted);
        assert_int_equal(rerooted.root_count, 1);
        for (size_t a = 0; a < tree.count; a++)
            for (size_t b = 0; b < a; b++) {
                if (!tree.nodes[a].name || !tree.nodes[b].name)
                    continue;
                double before = way_between(&tree, a, b);
                double after = way_between(&rerooted, node_named(&rerooted, tree.nodes[a].name),
                                           node_named(&rerooted, tree.nodes[b].name));
                assert_true(fabs(before - after) < 1e-12);
            }
    }
}

/* The two deepest leaves below the middle lie on two sides of it, equally deep. */
static void the_middle_halves_the_longest_way(void **state)
{
    uint64_t seed = 2;
    for (int round = 0; round < 60; round++) {
        struct tree tree = random_tree(&seed, 3 + chance_below(&seed, 12), 0.2, 0), rerooted;
        tree_reroot_at_middle(&tree, &trees, &rerooted);
        double longest = 0, deepest = 0;
        for (size_t a = 0; a < rerooted.count; a++) {
            deepest = fmax(deepest, way_between(&rerooted, a, rerooted.first_root));
            for (size_t b = 0; b < a; b++)
                longest = fmax(longest, way_between(&rerooted, a, b));
        }
        assert_true(fabs(2 * deepest - longest) < 1e-9);
    }
}

static void the_middle_of_a_star_is_its_root(void **state)
{
    struct tree star = tree_of("(a:1,b:1,c:1);"), rerooted;
    tree_reroot_at_middle(&star, &trees, &rerooted);
    assert_string_equal(newick_of(&rerooted), "(a:1,b:1,c:1);");
}

static void collapses_branches_without_length(void **state)
{
    struct tree tree = tree_of("((a:1,(b:1,c:2)0.5:0)0.5:2,(d:1,e:0)named:0);"), collapsed;
    tree_collapse(&tree, 0, &trees, &collapsed);
    assert_string_equal(newick_of(&collapsed), "((a:1,b:1,c:2)0.5:2,(d:1,e:0)named:0);");
}

static int teardown(void **state)
{
    network_teardown(state);
    return trees_teardown(state);
}
#define WITH_BOTH(test) cmocka_unit_test_setup_teardown(test, network_setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TREES(orders_nodes_depth_first),
        WITH_TREES(refuses_parents_that_run_in_a_circle),
        WITH_BOTH(takes_the_primary_edges_of_a_network),
        WITH_BOTH(roots_are_joined_in_time),
        WITH_BOTH(a_parent_that_is_younger_gives_no_negative_length),
        WITH_TREES(dates_are_years_in_the_middle_of_what_they_leave_open),
        WITH_TREES(joins_a_forest_under_a_root_without_a_name),
        WITH_TREES(reroots_on_a_branch),
        WITH_TREES(rerooting_keeps_all_ways),
        WITH_TREES(the_middle_halves_the_longest_way),
        WITH_TREES(the_middle_of_a_star_is_its_root),
        WITH_TREES(collapses_branches_without_length),
    };
    return cmocka_run_group_tests_name("tree", tests, NULL, NULL);
}
