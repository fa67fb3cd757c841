#include "lineage/compare.h"
#include "lineage/joining.h"
#include "trees.h"
#include <math.h>
#include <string.h>

static const char *const letters[] = {"a", "b", "c", "d", "e", "f", "g", "h"};

/* The worked example of the article on neighbour joining in Wikipedia: additive, so that it comes out
 * whole. */
static void joins_the_textbook_example(void **state)
{
    static const double distances[] = {0, 5, 9, 9,  8, 5, 0, 10, 10, 9, 9, 10, 0,
                                       8, 7, 9, 10, 8, 0, 3, 8,  9,  7, 3, 0};
    struct tree tree;
    neighbour_joining(letters, distances, 5, &trees, &tree);
    static const struct {
        const char *name;
        double length;
    } leaves[] = {{"a", 2}, {"b", 3}, {"c", 4}, {"d", 2}, {"e", 1}};
    for (size_t i = 0; i < 5; i++)
        assert_float_equal(tree.nodes[node_named(&tree, leaves[i].name)].length, leaves[i].length, 1e-12);
    assert_int_equal(tree.nodes[tree.first_root].child_count, 3);
    assert_float_equal(way_between(&tree, node_named(&tree, "a"), node_named(&tree, "e")), 8, 1e-12);
}

/* The worked example of the article on UPGMA in Wikipedia: five sequences of 5S ribosomal RNA. */
static void averages_the_textbook_example(void **state)
{
    static const double distances[] = {0,  17, 21, 31, 23, 17, 0,  30, 34, 21, 21, 30, 0,
                                       28, 39, 31, 34, 28, 0,  43, 23, 21, 39, 43, 0};
    struct tree tree;
    average_linkage(letters, distances, 5, &trees, &tree);
    assert_string_equal(newick_of(&tree), "((e:11,(a:8.5,b:8.5):2.5):5.5,(c:14,d:14):2.5);");
}

static void distances_of_a_tree(const struct tree *tree, size_t leaves, double *distances)
{
    for (size_t a = 0; a < leaves; a++)
        for (size_t b = 0; b < leaves; b++)
            distances[a * leaves + b] = way_between(tree, node_named(tree, arena_format(&trees, "t%zu", a)),
                                                    node_named(tree, arena_format(&trees, "t%zu", b)));
}

/* Distances measured on a tree give the tree back: all ways between leaves are as long again. */
static void neighbour_joining_finds_the_tree_that_was_measured(void **state)
{
    uint64_t seed = 17;
    for (int round = 0; round < 100; round++) {
        size_t leaves = 2 + chance_below(&seed, 30);
        struct tree truth = random_tree(&seed, leaves, round % 2 ? 0.3 : 0, 0), found;
        const char *names[32];
        double distances[32 * 32];
        for (size_t i = 0; i < leaves; i++)
            names[i] = arena_format(&trees, "t%zu", i);
        distances_of_a_tree(&truth, leaves, distances);
        neighbour_joining(names, distances, leaves, &trees, &found);
        assert_int_equal(found.count, leaves < 3 ? 3 : 2 * leaves - 2);
        for (size_t a = 0; a < leaves; a++)
            for (size_t b = 0; b < a; b++)
                assert_true(fabs(way_between(&found, a, b) - distances[a * leaves + b]) < 1e-9);
    }
}

/* All leaves of a tree of UPGMA are equally deep, and half the mean distance between the two sides of a node
 * is its height. */
static void average_linkage_is_level(void **state)
{
    uint64_t seed = 19;
    for (int round = 0; round < 50; round++) {
        size_t leaves = 2 + chance_below(&seed, 20);
        const char *names[32];
        double distances[32 * 32] = {0};
        for (size_t i = 0; i < leaves; i++) {
            names[i] = arena_format(&trees, "t%zu", i);
            for (size_t j = 0; j < i; j++)
                distances[i * leaves + j] = distances[j * leaves + i] = chance_real(&seed);
        }
        struct tree tree;
        average_linkage(names, distances, leaves, &trees, &tree);
        double depth = way_between(&tree, 0, tree.first_root);
        for (size_t i = 0; i < leaves; i++)
            assert_true(fabs(way_between(&tree, i, tree.first_root) - depth) < 1e-9);
    }
}

static void one_taxon_is_a_tree(void **state)
{
    const double none[] = {0};
    struct tree tree;
    neighbour_joining(letters, none, 1, &trees, &tree);
    assert_string_equal(newick_of(&tree), "a;");
    average_linkage(letters, none, 1, &trees, &tree);
    assert_string_equal(newick_of(&tree), "a;");
}

static struct character_matrix matrix_of(size_t taxa, size_t characters, uint32_t *cells)
{
    static const char *states[] = {"none", "fixed", "free"};
    static struct matrix_character described[] = {{"x", states, 3}, {"y", states, 3}, {"z", states, 3},
                                                  {"u", states, 3}, {"v", states, 3}, {"w", states, 3}};
    return (struct character_matrix){(const char **)letters, taxa, described, characters, cells};
}

static void distances_are_the_share_of_characters_that_differ(void **state)
{
    uint32_t cells[] = {1, 1, 1, /* a */
                        1, 2, 0, /* b: one of two */
                        2, 3, 1, /* c: layers of two kinds */
                        0, 0, 0 /* d: unknown */};
    struct character_matrix matrix = matrix_of(4, 3, cells);
    double distances[16];
    character_distances(&matrix, NULL, distances);
    assert_float_equal(distances[0 * 4 + 1], 0.5, 1e-12);
    assert_float_equal(distances[0 * 4 + 2], (1 + 0.5 + 0) / 3, 1e-12);
    assert_float_equal(distances[1 * 4 + 2], (1 + 0.5) / 2, 1e-12);
    double mean = (0.5 + 0.5 + 0.75) / 3;
    assert_float_equal(distances[3 * 4 + 0], mean, 1e-12);
    assert_float_equal(distances[2 * 4 + 3], mean, 1e-12);
    for (size_t i = 0; i < 4; i++)
        assert_true(distances[i * 4 + i] == 0);
    const double weights[] = {2, 1, 0};
    character_distances(&matrix, weights, distances);
    assert_float_equal(distances[0 * 4 + 2], 2.5 / 3, 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TREES(joins_the_textbook_example),
        WITH_TREES(averages_the_textbook_example),
        WITH_TREES(neighbour_joining_finds_the_tree_that_was_measured),
        WITH_TREES(average_linkage_is_level),
        WITH_TREES(one_taxon_is_a_tree),
        WITH_TREES(distances_are_the_share_of_characters_that_differ),
    };
    return cmocka_run_group_tests_name("joining", tests, NULL, NULL);
}
