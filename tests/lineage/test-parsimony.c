#include "lineage/parsimony.h"
#include "trees.h"
#include <stdlib.h>
#include <string.h>

static const char *state_names[] = {"0", "1", "2"};

static struct character_matrix matrix_of(const char **taxa, size_t taxon_count, size_t characters,
                                         uint32_t *cells)
{
    struct matrix_character *described = arena_allocate(&trees, (characters + 1) * sizeof *described);
    for (size_t j = 0; j < characters; j++)
        described[j] = (struct matrix_character){arena_format(&trees, "c%zu", j), state_names, 3};
    return (struct character_matrix){taxa, taxon_count, described, characters, cells};
}

/* Fitch's own kind of example: ((1,2),(3,(1,2))) needs three changes. */
static void counts_the_changes_of_a_small_tree(void **state)
{
    struct tree tree = tree_of("((a,b),(c,(d,e)));");
    const char *taxa[] = {"a", "b", "c", "d", "e"};
    uint32_t cells[] = {1, 1, 2, 1, 4, 1, 1, 2, 2, 0};
    struct character_matrix matrix = matrix_of(taxa, 5, 2, cells);
    size_t steps[2];
    assert_int_equal(parsimony_steps(&tree, &matrix, steps), 4);
    assert_int_equal(steps[0], 3);
    assert_int_equal(steps[1], 1);
    assert_int_equal(parsimony_least(&matrix, 0), 2);
    assert_int_equal(parsimony_least(&matrix, 1), 1);
}

/* The fewest changes over all ways to give each node a state; a named inner node shows one of its states
 * itself, and a difference costs a change there. */
static size_t search_all(const struct tree *tree, const uint32_t *observed)
{
    size_t best = SIZE_MAX, count = tree->count, state[16] = {0};
    for (;;) {
        size_t cost = 0;
        for (size_t i = 0; i < count; i++) {
            if (observed[i] && !(observed[i] >> state[i] & 1))
                cost++; /* at a leaf: the change on a branch of its own */
            if (tree->nodes[i].parent != TREE_NONE)
                cost += state[i] != state[tree->nodes[i].parent];
        }
        best = cost < best ? cost : best;
        size_t i = 0;
        while (i < count && state[i] == 2)
            state[i++] = 0;
        if (i == count)
            return best;
        state[i]++;
    }
}

static void finds_the_fewest_of_all_histories(void **state)
{
    uint64_t seed = 23;
    for (int round = 0; round < 60; round++) {
        struct tree tree = random_tree(&seed, 2 + chance_below(&seed, 4), 0.3, 0.4);
        const char *taxa[16];
        uint32_t cells[16], observed[16];
        size_t taxon_count = 0, steps;
        for (size_t i = 0; i < tree.count; i++) {
            observed[i] = tree.nodes[i].name ? (uint32_t)chance_below(&seed, 8) : 0;
            if (tree.nodes[i].name) {
                taxa[taxon_count] = tree.nodes[i].name;
                cells[taxon_count++] = observed[i];
            }
        }
        struct character_matrix matrix = matrix_of(taxa, taxon_count, 1, cells);
        parsimony_steps(&tree, &matrix, &steps);
        assert_int_equal(steps, search_all(&tree, observed));
    }
}

static void unknown_cells_and_taxa_cost_nothing(void **state)
{
    struct tree tree = tree_of("((a,b),(c,d));");
    const char *taxa[] = {"a", "c", "elsewhere"};
    uint32_t cells[] = {1, 0, 4};
    struct character_matrix matrix = matrix_of(taxa, 3, 1, cells);
    size_t steps;
    assert_int_equal(parsimony_steps(&tree, &matrix, &steps), 0);
}

static void a_state_gained_twice_is_convergent(void **state)
{
    struct tree tree = tree_of("((a,b)x,(c,(d,e)z)y)root;");
    const char *taxa[] = {"root", "x", "a", "b", "y", "c", "z", "d", "e"};
    uint32_t cells[] = {1, 1, 2, 1, 1, 1, 2, 2, 2};
    struct character_matrix matrix = matrix_of(taxa, 9, 1, cells);
    struct convergence *convergences;
    size_t count;
    parsimony_convergences(&tree, &matrix, &trees, &convergences, &count);
    assert_int_equal(count, 1);
    assert_int_equal(convergences[0].state, 1);
    assert_int_equal(convergences[0].count, 2);
    assert_string_equal(tree.nodes[convergences[0].nodes[0]].name, "a");
    assert_string_equal(tree.nodes[convergences[0].nodes[1]].name, "z");
}

static void a_state_gained_once_is_not(void **state)
{
    struct tree tree = tree_of("((a,b)x,(c,d)y)root;");
    const char *taxa[] = {"root", "a", "b", "c", "d"};
    uint32_t cells[] = {1, 2, 2, 1, 1};
    struct character_matrix matrix = matrix_of(taxa, 5, 1, cells);
    struct convergence *convergences;
    size_t count;
    parsimony_convergences(&tree, &matrix, &trees, &convergences, &count);
    assert_int_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TREES(counts_the_changes_of_a_small_tree),  WITH_TREES(finds_the_fewest_of_all_histories),
        WITH_TREES(unknown_cells_and_taxa_cost_nothing), WITH_TREES(a_state_gained_twice_is_convergent),
        WITH_TREES(a_state_gained_once_is_not),
    };
    return cmocka_run_group_tests_name("parsimony", tests, NULL, NULL);
}
