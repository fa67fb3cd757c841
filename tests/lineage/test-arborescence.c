#include "lineage/arborescence.h"
#include "trees.h"
#include <math.h>
#include <stdlib.h>

struct best {
    size_t roots;
    double weight;
};

/* Follows the chosen edges up; a way longer than the nodes is a circle. */
static bool is_forest(size_t nodes, const struct weighted_edge *edges, const size_t *chosen)
{
    for (size_t i = 0; i < nodes; i++) {
        size_t node = i, steps = 0;
        while (chosen[node] != ARBORESCENCE_ROOT && steps++ <= nodes)
            node = edges[chosen[node]].parent;
        if (steps > nodes)
            return false;
    }
    return true;
}

static struct best measure(size_t nodes, const struct weighted_edge *edges, const size_t *chosen)
{
    struct best best = {0, 0};
    for (size_t i = 0; i < nodes; i++) {
        if (chosen[i] == ARBORESCENCE_ROOT) {
            best.roots++;
            continue;
        }
        assert_int_equal(edges[chosen[i]].child, i);
        best.weight += edges[chosen[i]].weight;
    }
    return best;
}

/* Tries every choice of an edge or none for each node. */
static struct best search_all(size_t nodes, const struct weighted_edge *edges, size_t edge_count)
{
    struct best best = {SIZE_MAX, 0};
    size_t chosen[8], at[8] = {0};
    for (;;) {
        for (size_t i = 0; i < nodes; i++)
            chosen[i] = at[i] == edge_count ? ARBORESCENCE_ROOT : at[i];
        bool valid = true;
        for (size_t i = 0; i < nodes; i++)
            valid = valid && (chosen[i] == ARBORESCENCE_ROOT ||
                              (edges[chosen[i]].child == i && edges[chosen[i]].parent != i));
        if (valid && is_forest(nodes, edges, chosen)) {
            struct best own = measure(nodes, edges, chosen);
            if (own.roots < best.roots || (own.roots == best.roots && own.weight > best.weight))
                best = own;
        }
        size_t i = 0;
        while (i < nodes && at[i] == edge_count)
            at[i++] = 0;
        if (i == nodes)
            return best;
        at[i]++;
    }
}

static void is_as_heavy_as_the_best_of_all_forests(void **state)
{
    uint64_t seed = 7;
    for (int round = 0; round < 400; round++) {
        size_t nodes = 2 + chance_below(&seed, 4), edge_count = chance_below(&seed, 9);
        struct weighted_edge edges[8];
        size_t chosen[8];
        for (size_t i = 0; i < edge_count; i++)
            edges[i] = (struct weighted_edge){
                (uint32_t)chance_below(&seed, nodes), (uint32_t)chance_below(&seed, nodes),
                round % 2 ? (double)chance_below(&seed, 4) : chance_real(&seed)}; /* with ties, and without */
        arborescence(nodes, edges, edge_count, chosen);
        assert_true(is_forest(nodes, edges, chosen));
        struct best own = measure(nodes, edges, chosen), best = search_all(nodes, edges, edge_count);
        assert_int_equal(own.roots, best.roots);
        assert_true(fabs(own.weight - best.weight) < 1e-9);
    }
}

/* Circles within circles: each pair of nodes prefers one another, and so do the pairs of pairs. */
static void opens_nested_circles(void **state)
{
    const struct weighted_edge edges[] = {{0, 1, 10}, {1, 0, 10}, {2, 3, 10}, {3, 2, 10}, {1, 2, 8},
                                          {3, 0, 8},  {4, 3, 1},  {0, 4, 0},  {4, 1, 0.5}};
    size_t chosen[5];
    arborescence(5, edges, 9, chosen);
    assert_true(is_forest(5, edges, chosen));
    struct best own = measure(5, edges, chosen);
    assert_int_equal(own.roots, 1);
    assert_float_equal(own.weight, 29, 1e-9); /* 4 to 3, 3 to 2 and 0, 0 to 1 */
}

static void equal_edges_give_the_first(void **state)
{
    const struct weighted_edge edges[] = {{1, 2, 1}, {0, 2, 1}, {0, 2, 1}, {0, 1, 0}};
    size_t chosen[3];
    arborescence(3, edges, 4, chosen);
    assert_int_equal(chosen[2], 0);
    assert_int_equal(chosen[1], 3);
    assert_int_equal(chosen[0], ARBORESCENCE_ROOT);
}

static void needs_neither_edges_nor_nodes(void **state)
{
    size_t chosen[2] = {0, 0};
    arborescence(0, NULL, 0, chosen);
    arborescence(2, NULL, 0, chosen);
    assert_int_equal(chosen[0], ARBORESCENCE_ROOT);
    assert_int_equal(chosen[1], ARBORESCENCE_ROOT);
}

static void handles_large_graphs_with_many_circles(void **state)
{
    const size_t nodes = 20000, edge_count = 200000;
    uint64_t seed = 9;
    struct weighted_edge *edges = memory_allocate(edge_count * sizeof *edges);
    size_t *chosen = memory_allocate(nodes * sizeof *chosen);
    for (size_t i = 0; i < edge_count; i++)
        edges[i] = (struct weighted_edge){(uint32_t)chance_below(&seed, nodes),
                                          (uint32_t)chance_below(&seed, nodes), chance_real(&seed)};
    arborescence(nodes, edges, edge_count, chosen);
    assert_true(is_forest(nodes, edges, chosen));
    assert_true(measure(nodes, edges, chosen).roots < 10);
    free(edges);
    free(chosen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TREES(is_as_heavy_as_the_best_of_all_forests),
        WITH_TREES(opens_nested_circles),
        WITH_TREES(equal_edges_give_the_first),
        WITH_TREES(needs_neither_edges_nor_nodes),
        WITH_TREES(handles_large_graphs_with_many_circles),
    };
    return cmocka_run_group_tests_name("arborescence", tests, NULL, NULL);
}
