#include "lineage/bootstrap.h"
#include "lineage/joining.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void join(const struct character_matrix *matrix, const double *weights, enum joining joining,
                 struct arena *arena, struct tree *tree)
{
    size_t count = matrix->taxon_count;
    double *distances = memory_allocate(size_multiply(size_multiply(count, count) + 1, sizeof *distances));
    character_distances(matrix, weights, distances);
    if (joining == JOINING_NEIGHBOURS)
        neighbour_joining(matrix->taxa, distances, count, arena, tree);
    else
        average_linkage(matrix->taxa, distances, count, arena, tree);
    free(distances);
}

void character_tree(const struct character_matrix *matrix, enum joining joining, struct arena *arena,
                    struct tree *tree)
{
    join(matrix, NULL, joining, arena, tree);
}

/* ---- draws ---- */

/* SplitMix64 (Steele, Lea and Flood 2014): a good number for each of 0, 1, 2, ... */
static uint64_t mix(uint64_t number)
{
    number += UINT64_C(0x9e3779b97f4a7c15);
    number = (number ^ number >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    number = (number ^ number >> 27) * UINT64_C(0x94d049bb133111eb);
    return number ^ number >> 31;
}

/* How often each character is drawn in one replicate. */
static void draw(size_t characters, uint64_t seed, size_t replicate, double *weights)
{
    uint64_t start = mix(seed ^ mix(replicate));
    memset(weights, 0, characters * sizeof *weights);
    for (size_t i = 0; i < characters; i++)
        weights[(size_t)((unsigned __int128)mix(start + i) * characters >> 64)]++;
}

/* ---- groups ---- */

/* A group of taxa is known by the sum of numbers that stand for its members: two different groups have equal
 * sums by a chance of 2^-64. Without a root the group and the rest are one division, so that the side without
 * the first taxon stands for both. */
struct groups {
    uint64_t *members; /* of each taxon */
    uint64_t all;
    bool rooted;
};

static uint64_t group_name(const struct groups *groups, uint64_t sum, bool has_first)
{
    return !groups->rooted && has_first ? groups->all - sum : sum;
}

/* sums[node] of a tree whose leaves are, in the order of their nodes, the taxa. */
static void name_groups(const struct groups *groups, const struct tree *tree, uint64_t *sums, bool *has_first)
{
    size_t taxon = 0;
    for (size_t i = 0; i < tree->count; i++) {
        bool leaf = tree->nodes[i].child_count == 0;
        has_first[i] = leaf && taxon == 0;
        sums[i] = leaf ? groups->members[taxon++] : 0;
    }
    for (size_t i = tree->count; i-- > 0;) {
        size_t node = tree->order[i], parent = tree->nodes[node].parent;
        if (parent == TREE_NONE)
            continue;
        sums[parent] += sums[node];
        has_first[parent] = has_first[parent] || has_first[node];
    }
    for (size_t i = 0; i < tree->count; i++)
        sums[i] = group_name(groups, sums[i], has_first[i]);
}

static int compare_names(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The groups of inner branches (those to nodes that have children and a parent), sorted, each once. */
static size_t inner_groups(const struct tree *tree, const uint64_t *sums, uint64_t *names)
{
    size_t count = 0, kept = 0;
    for (size_t i = 0; i < tree->count; i++)
        if (tree->nodes[i].child_count && tree->nodes[i].parent != TREE_NONE)
            names[count++] = sums[i];
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || names[i] != names[kept - 1])
            names[kept++] = names[i];
    return kept;
}

/* Adds 1 to `found` of each group of `names` that the replicate's tree has too. */
static void run_replicate(const struct character_matrix *matrix, enum joining joining, const double *weights,
                          const struct groups *groups, const uint64_t *names, size_t name_count,
                          unsigned *found)
{
    struct arena arena = ARENA_INIT;
    struct tree tree;
    join(matrix, weights, joining, &arena, &tree);
    uint64_t *sums = arena_allocate(&arena, (tree.count + 1) * sizeof *sums);
    uint64_t *own = arena_allocate(&arena, (tree.count + 1) * sizeof *own);
    name_groups(groups, &tree, sums, arena_allocate(&arena, tree.count + 1));
    size_t own_count = inner_groups(&tree, sums, own);
    for (size_t i = 0; i < own_count; i++) {
        const uint64_t *place = bsearch(&own[i], names, name_count, sizeof *names, compare_names);
        if (place) {
            unsigned *counter = &found[place - names];
#pragma omp atomic
            ++*counter;
        }
    }
    arena_release(&arena);
}

/* The leaves of the tree as it was joined stand in the order of the taxa; those of a rerooted one do too, for
 * rerooting keeps the order of nodes. */
void bootstrap_support(const struct character_matrix *matrix, enum joining joining, size_t replicates,
                       uint64_t seed, struct tree *tree)
{
    struct arena arena = ARENA_INIT;
    struct groups groups = {.rooted = joining == JOINING_AVERAGE};
    size_t count = tree->count + 1;
    groups.members = arena_allocate(&arena, (matrix->taxon_count + 1) * sizeof *groups.members);
    for (size_t i = 0; i < matrix->taxon_count; i++) {
        groups.members[i] = mix(~i);
        groups.all += groups.members[i];
    }
    uint64_t *sums = arena_allocate(&arena, count * sizeof *sums);
    uint64_t *names = arena_allocate(&arena, count * sizeof *names);
    unsigned *found = arena_allocate(&arena, count * sizeof *found);
    name_groups(&groups, tree, sums, arena_allocate(&arena, count));
    size_t name_count = inner_groups(tree, sums, names);
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < replicates; i++) {
        double *weights = memory_allocate_zero(matrix->character_count + 1, sizeof *weights);
        draw(matrix->character_count, seed, i, weights);
        run_replicate(matrix, joining, weights, &groups, names, name_count, found);
        free(weights);
    }
    for (size_t i = 0; i < tree->count; i++) {
        if (!tree->nodes[i].child_count || tree->nodes[i].parent == TREE_NONE)
            continue;
        const uint64_t *place = bsearch(&sums[i], names, name_count, sizeof *names, compare_names);
        tree->nodes[i].support = (double)found[place - names] / (double)replicates;
    }
    arena_release(&arena);
}
