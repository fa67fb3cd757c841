#include "lineage/bootstrap.h"
#include "trees.h"
#include <math.h>
#include <omp.h>
#include <string.h>

enum { CHARACTERS = 40 };

/* Taxa t0 .. t7 with characters that divide them as ((t0 t1)(t2 t3))((t4 t5)(t6 t7)), each division `clear`
 * times of CHARACTERS / 7, the others by chance. */
static struct character_matrix divided(uint64_t *seed, double clear)
{
    static const char *states[] = {"no", "yes"};
    static const uint32_t divisions[] = {0x0f, 0x03, 0x0c, 0x0f, 0x30, 0xc0, 0x0f};
    struct character_matrix matrix = {.taxon_count = 8, .character_count = CHARACTERS};
    matrix.taxa = arena_allocate(&trees, 8 * sizeof *matrix.taxa);
    matrix.characters = arena_allocate(&trees, CHARACTERS * sizeof *matrix.characters);
    matrix.cells = arena_allocate(&trees, 8 * CHARACTERS * sizeof *matrix.cells);
    for (size_t j = 0; j < CHARACTERS; j++) {
        uint32_t members = chance_real(seed) < clear ? divisions[j % 7] : (uint32_t)chance_below(seed, 256);
        matrix.characters[j] = (struct matrix_character){arena_format(&trees, "c%zu", j), states, 2};
        for (size_t i = 0; i < 8; i++) {
            matrix.taxa[i] = arena_format(&trees, "t%zu", i);
            matrix.cells[i * CHARACTERS + j] = members >> i & 1 ? 2 : 1;
        }
    }
    return matrix;
}

static double support_above(const struct tree *tree, const char *name)
{
    return tree->nodes[tree->nodes[node_named(tree, name)].parent].support;
}

static void clear_characters_are_supported(void **state)
{
    uint64_t seed = 29;
    struct character_matrix matrix = divided(&seed, 1);
    for (enum joining joining = JOINING_NEIGHBOURS; joining <= JOINING_AVERAGE; joining++) {
        struct tree tree;
        character_tree(&matrix, joining, &trees, &tree);
        bootstrap_support(&matrix, joining, 200, 1, &tree);
        for (size_t i = 0; i < tree.count; i++)
            if (tree.nodes[i].child_count && tree.nodes[i].parent != TREE_NONE)
                assert_true(tree.nodes[i].support > 0.9 && tree.nodes[i].support <= 1);
            else
                assert_true(isnan(tree.nodes[i].support));
    }
}

static void chance_is_not(void **state)
{
    uint64_t seed = 31;
    struct character_matrix matrix = divided(&seed, 0);
    struct tree tree;
    double sum = 0;
    size_t count = 0;
    character_tree(&matrix, JOINING_NEIGHBOURS, &trees, &tree);
    bootstrap_support(&matrix, JOINING_NEIGHBOURS, 200, 1, &tree);
    for (size_t i = 0; i < tree.count; i++)
        if (!isnan(tree.nodes[i].support)) {
            sum += tree.nodes[i].support;
            count++;
        }
    assert_int_equal(count, 5);
    assert_true(sum / (double)count < 0.7);
}

static void support_does_not_depend_on_threads_or_the_root(void **state)
{
    uint64_t seed = 37;
    struct character_matrix matrix = divided(&seed, 0.5);
    struct tree one, three, rooted;
    character_tree(&matrix, JOINING_NEIGHBOURS, &trees, &one);
    character_tree(&matrix, JOINING_NEIGHBOURS, &trees, &three);
    tree_reroot_at_middle(&one, &trees, &rooted);
    int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    bootstrap_support(&matrix, JOINING_NEIGHBOURS, 150, 5, &one);
    omp_set_num_threads(3);
    bootstrap_support(&matrix, JOINING_NEIGHBOURS, 150, 5, &three);
    bootstrap_support(&matrix, JOINING_NEIGHBOURS, 150, 5, &rooted);
    omp_set_num_threads(threads);
    assert_string_equal(newick_of(&one), newick_of(&three));
    assert_string_equal(newick_of(&one), newick_of(&one));
    double pair = support_above(&one, "t1");
    bool same_pair = one.nodes[node_named(&one, "t1")].parent == one.nodes[node_named(&one, "t0")].parent;
    if (same_pair &&
        rooted.nodes[node_named(&rooted, "t1")].parent == rooted.nodes[node_named(&rooted, "t0")].parent)
        assert_true(support_above(&rooted, "t1") == pair);
    bootstrap_support(&matrix, JOINING_NEIGHBOURS, 150, 6, &three);
    assert_string_not_equal(newick_of(&one), newick_of(&three)); /* another seed, other draws */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TREES(clear_characters_are_supported),
        WITH_TREES(chance_is_not),
        WITH_TREES(support_does_not_depend_on_threads_or_the_root),
    };
    return cmocka_run_group_tests_name("bootstrap", tests, NULL, NULL);
}
