#include "lineage/compare.h"
#include "trees.h"
#include <stdlib.h>
#include <string.h>

static struct tree_comparison compare(const char *first, const char *second)
{
    struct tree a = tree_of(first), b = tree_of(second);
    struct tree_comparison comparison;
    struct error error = ERROR_INIT;
    if (tree_compare(&a, &b, &comparison, &error))
        fail_msg("%s", error.message);
    return comparison;
}

static void equal_trees_have_no_distance(void **state)
{
    struct tree_comparison same = compare("((a,b),(c,d),e);", "(e,(d,c),(b,a));");
    assert_int_equal(same.robinson_foulds, 0);
    assert_int_equal(same.groups, 4);
    assert_int_equal(same.differing, 0);
    assert_int_equal(same.triplets, 10);
}

static void counts_groups_and_triplets_of_known_trees(void **state)
{
    struct tree_comparison other = compare("((a,b),(c,d));", "((a,c),(b,d));");
    assert_int_equal(other.robinson_foulds, 4);
    assert_int_equal(other.groups, 4);
    assert_int_equal(other.differing, 4);
    assert_int_equal(other.contradicting, 4);
    struct tree_comparison open = compare("((a,b),c,d);", "(a,b,c,d);");
    assert_int_equal(open.robinson_foulds, 1);
    assert_int_equal(open.differing, 2); /* ab|c and ab|d */
    assert_int_equal(open.contradicting, 0);
}

static void a_named_inner_node_is_a_leaf_of_its_own(void **state)
{
    struct tree_comparison same = compare("((a)b)c;", "((a,b),c);");
    assert_int_equal(same.shared, 3);
    assert_int_equal(same.robinson_foulds, 0);
    assert_int_equal(same.differing, 0);
}

static void trees_are_cut_to_what_they_share(void **state)
{
    struct tree_comparison cut = compare("(((a,x),b),(c,(y,z)));", "((a,b),(c,(v,w)));");
    assert_int_equal(cut.shared, 3);
    assert_int_equal(cut.only_first, 3);
    assert_int_equal(cut.only_second, 2);
    assert_int_equal(cut.robinson_foulds, 0);
    assert_int_equal(cut.groups, 2);
    assert_int_equal(cut.triplets, 1);
}

static void refuses_what_cannot_be_compared(void **state)
{
    struct tree_comparison comparison;
    struct error error = ERROR_INIT;
    struct tree a = tree_of("(a,b,(a,c));"), b = tree_of("(a,b,c);"), c = tree_of("(a,x,y);");
    assert_int_equal(tree_compare(&a, &b, &comparison, &error), STATUS_USAGE);
    assert_string_equal(error.message, "a tree has 'a' twice");
    assert_int_equal(tree_compare(&b, &c, &comparison, &error), STATUS_USAGE);
    assert_string_equal(error.message, "the trees have 1 name in common: at least three are needed");
}

/* ---- against counting one by one ---- */

static bool is_below(const struct tree *tree, size_t node, size_t above)
{
    while (node != TREE_NONE && node != above)
        node = tree->nodes[node].parent;
    return node == above;
}

/* The named nodes at or below `node` as bits. */
static uint64_t members(const struct tree *tree, size_t node, const char *const *names, size_t count)
{
    uint64_t set = 0;
    for (size_t i = 0; i < count; i++)
        if (is_below(tree, node_named(tree, names[i]), node))
            set |= UINT64_C(1) << i;
    return set;
}

static size_t list_groups(const struct tree *tree, const char *const *names, size_t count, uint64_t *groups)
{
    size_t found = 0;
    for (size_t i = 0; i < tree->count; i++) {
        uint64_t set = members(tree, i, names, count);
        int size = __builtin_popcountll(set);
        bool known = size < 2 || size == (int)count;
        for (size_t j = 0; j < found && !known; j++)
            known = groups[j] == set;
        if (!known)
            groups[found++] = set;
    }
    return found;
}

/* Which of three leaves the tree puts apart from the other two: 0, 1, 2, or -1 where it leaves that open. */
static int apart(const uint64_t *groups, size_t count, const size_t three[3])
{
    for (int k = 0; k < 3; k++) {
        uint64_t pair = UINT64_C(1) << three[(k + 1) % 3] | UINT64_C(1) << three[(k + 2) % 3];
        for (size_t i = 0; i < count; i++)
            if ((groups[i] & pair) == pair && !(groups[i] >> three[k] & 1))
                return k;
    }
    return -1;
}

static void agrees_with_counting_one_by_one(void **state)
{
    uint64_t seed = 41;
    for (int round = 0; round < 80; round++) {
        struct tree tree[2];
        struct tree_comparison comparison;
        struct error error = ERROR_INIT;
        const char *names[64];
        uint64_t groups[2][64];
        size_t counts[2], count = 0, shared = 0, differing = 0, contradicting = 0;
        for (int t = 0; t < 2; t++)
            tree[t] = random_tree(&seed, 3 + chance_below(&seed, 12), 0.3, 0.3);
        for (size_t i = 0; i < tree[0].count; i++)
            for (size_t j = 0; j < tree[1].count && tree[0].nodes[i].name; j++)
                if (tree[1].nodes[j].name && strcmp(tree[0].nodes[i].name, tree[1].nodes[j].name) == 0)
                    names[count++] = tree[0].nodes[i].name;
        assert_int_equal(tree_compare(&tree[0], &tree[1], &comparison, &error), STATUS_OK);
        assert_int_equal(comparison.shared, count);
        for (int t = 0; t < 2; t++)
            counts[t] = list_groups(&tree[t], names, count, groups[t]);
        for (size_t i = 0; i < counts[0]; i++)
            for (size_t j = 0; j < counts[1]; j++)
                shared += groups[0][i] == groups[1][j];
        assert_int_equal(comparison.groups, counts[0] + counts[1]);
        assert_int_equal(comparison.robinson_foulds, counts[0] + counts[1] - 2 * shared);
        for (size_t a = 0; a < count; a++)
            for (size_t b = 0; b < a; b++)
                for (size_t c = 0; c < b; c++) {
                    const size_t three[] = {a, b, c};
                    int first = apart(groups[0], counts[0], three),
                        second = apart(groups[1], counts[1], three);
                    differing += first != second;
                    contradicting += first != second && first >= 0 && second >= 0;
                }
        assert_int_equal(comparison.triplets, count * (count - 1) * (count - 2) / 6);
        assert_int_equal(comparison.differing, differing);
        assert_int_equal(comparison.contradicting, contradicting);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TREES(equal_trees_have_no_distance),
        WITH_TREES(counts_groups_and_triplets_of_known_trees),
        WITH_TREES(a_named_inner_node_is_a_leaf_of_its_own),
        WITH_TREES(trees_are_cut_to_what_they_share),
        WITH_TREES(refuses_what_cannot_be_compared),
        WITH_TREES(agrees_with_counting_one_by_one),
    };
    return cmocka_run_group_tests_name("compare", tests, NULL, NULL);
}
