/* compare.c: Robinson-Foulds distance by Day's numbering of leaves (1985): in the order of the first tree's
 * leaves, each of its groups is a range, so that a group of the second tree is shared if it is a range that
 * the first has. Triplets are counted from the sizes of the common parts of the trees' groups. */
#include "lineage/compare.h"
#include <stdlib.h>
#include <string.h>

/* A tree whose leaves are numbered and whose inner nodes have at least two children. Parents stand before
 * their children. */
struct leafy {
    size_t count;
    size_t *parent;
    size_t *leaf;  /* number of a leaf; TREE_NONE at an inner node */
    size_t *first; /* children of node i are child[first[i]] .. child[first[i + 1] - 1] */
    size_t *child;
    size_t *size; /* leaves */
};

/* ---- shared names ---- */

struct name {
    const char *text;
    size_t node;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

static enum status sort_names(const struct tree *tree, struct arena *arena, struct name **names,
                              size_t *count, struct error *error)
{
    *names = arena_allocate(arena, size_multiply(tree->count + 1, sizeof **names));
    *count = 0;
    for (size_t i = 0; i < tree->count; i++)
        if (tree->nodes[i].name)
            (*names)[(*count)++] = (struct name){tree->nodes[i].name, i};
    qsort(*names, *count, sizeof **names, compare_names);
    for (size_t i = 1; i < *count; i++)
        if (strcmp((*names)[i].text, (*names)[i - 1].text) == 0)
            return error_set(error, STATUS_USAGE, "a tree has '%.200s' twice", (*names)[i].text);
    return STATUS_OK;
}

/* Numbers the shared names; numbers[node] is TREE_NONE elsewhere. */
static enum status number_shared(const struct tree *const trees[2], size_t *numbers[2], struct arena *arena,
                                 struct tree_comparison *comparison, struct error *error)
{
    struct name *names[2];
    size_t counts[2], at[2] = {0, 0}, shared = 0;
    for (int t = 0; t < 2; t++) {
        enum status status = sort_names(trees[t], arena, &names[t], &counts[t], error);
        if (status)
            return status;
        numbers[t] = arena_allocate(arena, size_multiply(trees[t]->count + 1, sizeof *numbers[t]));
        for (size_t i = 0; i < trees[t]->count; i++)
            numbers[t][i] = TREE_NONE;
    }
    while (at[0] < counts[0] && at[1] < counts[1]) {
        int order = strcmp(names[0][at[0]].text, names[1][at[1]].text);
        if (order == 0) {
            numbers[0][names[0][at[0]].node] = shared;
            numbers[1][names[1][at[1]].node] = shared++;
        }
        at[0] += order <= 0;
        at[1] += order >= 0;
    }
    comparison->shared = shared;
    comparison->only_first = counts[0] - shared;
    comparison->only_second = counts[1] - shared;
    if (shared < 3)
        return error_set(error, STATUS_USAGE,
                         "the trees have %zu name%s in common: at least three are needed", shared,
                         shared == 1 ? "" : "s");
    if (shared > MOST_COMPARED)
        return error_set(error, STATUS_USAGE,
                         "the trees have %zu names in common: at most %d can be compared", shared,
                         MOST_COMPARED);
    return STATUS_OK;
}

/* ---- reduction ---- */

/* What becomes of each node of a tree: how many children it keeps, and how many leaves are below it. */
struct reduction {
    size_t *branches; /* children with leaves, and itself if it is numbered */
    size_t *place;    /* in the reduced tree */
};

static void count_branches(const struct tree *tree, const size_t *numbers, struct reduction *reduction)
{
    for (size_t i = tree->count; i-- > 0;) {
        size_t node = tree->order[i], parent = tree->nodes[node].parent;
        reduction->branches[node] += numbers[node] != TREE_NONE;
        if (reduction->branches[node] && parent != TREE_NONE)
            reduction->branches[parent]++;
    }
}

static size_t add(struct leafy *leafy, size_t parent, size_t leaf)
{
    leafy->parent[leafy->count] = parent;
    leafy->leaf[leafy->count] = leaf;
    return leafy->count++;
}

static void list_children(struct leafy *leafy, struct arena *arena)
{
    leafy->first = arena_allocate(arena, size_multiply(leafy->count + 2, sizeof *leafy->first));
    leafy->child = arena_allocate(arena, size_multiply(leafy->count + 1, sizeof *leafy->child));
    leafy->size = arena_allocate(arena, size_multiply(leafy->count + 1, sizeof *leafy->size));
    for (size_t i = 1; i < leafy->count; i++)
        leafy->first[leafy->parent[i] + 2]++;
    for (size_t i = 2; i < leafy->count + 2; i++)
        leafy->first[i] += leafy->first[i - 1];
    for (size_t i = 1; i < leafy->count; i++)
        leafy->child[leafy->first[leafy->parent[i] + 1]++] = i;
    for (size_t i = leafy->count; i-- > 0;) {
        leafy->size[i] += leafy->leaf[i] != TREE_NONE;
        if (i > 0)
            leafy->size[leafy->parent[i]] += leafy->size[i];
    }
}

/* The tree has one root and at least three numbered nodes. */
static void reduce(const struct tree *tree, const size_t *numbers, struct arena *arena, struct leafy *leafy)
{
    size_t most = 2 * tree->count + 1;
    struct reduction reduction = {arena_allocate(arena, size_multiply(most, sizeof(size_t))),
                                  arena_allocate(arena, size_multiply(most, sizeof(size_t)))};
    *leafy = (struct leafy){.parent = arena_allocate(arena, size_multiply(most, sizeof(size_t))),
                            .leaf = arena_allocate(arena, size_multiply(most, sizeof(size_t)))};
    count_branches(tree, numbers, &reduction);
    for (size_t i = 0; i < tree->count; i++) {
        size_t node = tree->order[i], parent = tree->nodes[node].parent;
        size_t above = parent == TREE_NONE ? TREE_NONE : reduction.place[parent];
        size_t branches = reduction.branches[node];
        reduction.place[node] = above; /* of what has one branch or none, the children hang higher up */
        if (branches > 1)
            reduction.place[node] = add(leafy, above, TREE_NONE);
        if (numbers[node] != TREE_NONE)
            add(leafy, reduction.place[node], numbers[node]);
    }
    list_children(leafy, arena);
}

/* ---- Robinson-Foulds ---- */

struct range {
    size_t low, high;
};

static int compare_ranges(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    if (x->low != y->low)
        return x->low < y->low ? -1 : 1;
    return x->high < y->high ? -1 : x->high > y->high;
}

/* The lowest and highest place of each node's leaves. */
static struct range *find_ranges(const struct leafy *leafy, const size_t *places, struct arena *arena)
{
    struct range *ranges = arena_allocate(arena, size_multiply(leafy->count + 1, sizeof *ranges));
    for (size_t i = 0; i < leafy->count; i++) {
        bool leaf = leafy->leaf[i] != TREE_NONE;
        ranges[i] = leaf ? (struct range){places[leafy->leaf[i]], places[leafy->leaf[i]]}
                         : (struct range){SIZE_MAX, 0};
    }
    for (size_t i = leafy->count; i-- > 1;) {
        struct range *above = &ranges[leafy->parent[i]];
        above->low = ranges[i].low < above->low ? ranges[i].low : above->low;
        above->high = ranges[i].high > above->high ? ranges[i].high : above->high;
    }
    return ranges;
}

/* Inner nodes other than the root, whose group is that of all leaves. */
static bool is_group(const struct leafy *leafy, size_t node)
{
    return node > 0 && leafy->leaf[node] == TREE_NONE;
}

/* Numbers the leaves as a walk through the tree meets them. */
static void number_leaves(const struct leafy *leafy, size_t *places, struct arena *arena)
{
    size_t *start = arena_allocate(arena, size_multiply(leafy->count + 1, sizeof *start));
    for (size_t i = 0; i < leafy->count;
         i++) { /* start[i]: place of the first leaf below i, moved on by children */
        size_t own = i ? start[leafy->parent[i]] : 0;
        if (i)
            start[leafy->parent[i]] += leafy->size[i];
        start[i] = own;
        if (leafy->leaf[i] != TREE_NONE)
            places[leafy->leaf[i]] = own;
    }
}

static void compare_groups(const struct leafy *first, const struct leafy *second, struct arena *arena,
                           struct tree_comparison *comparison)
{
    size_t *places = arena_allocate(arena, size_multiply(comparison->shared + 1, sizeof *places));
    size_t group_count = 0, shared = 0, second_count = 0;
    number_leaves(first, places, arena);
    struct range *ranges = find_ranges(first, places, arena), *others = find_ranges(second, places, arena);
    for (size_t i = 0; i < first->count; i++)
        if (is_group(first, i))
            ranges[group_count++] = ranges[i];
    qsort(ranges, group_count, sizeof *ranges, compare_ranges);
    for (size_t i = 0; i < second->count; i++) {
        if (!is_group(second, i))
            continue;
        second_count++;
        bool range = others[i].high - others[i].low + 1 == second->size[i];
        shared += range && bsearch(&others[i], ranges, group_count, sizeof *ranges, compare_ranges) != NULL;
    }
    comparison->groups = group_count + second_count;
    comparison->robinson_foulds = comparison->groups - 2 * shared;
}

/* ---- triplets ---- */

static uint64_t pairs(uint64_t count)
{
    return count * (count - (count > 0)) / 2;
}

/* common[u * second->count + v]: leaves below both. */
static uint32_t *count_common(const struct leafy *first, const struct leafy *second, size_t leaves)
{
    size_t columns = second->count;
    uint32_t *common = memory_allocate_zero(size_multiply(first->count, columns), sizeof *common);
    size_t *node_of = memory_allocate(size_multiply(leaves + 1, sizeof *node_of));
    for (size_t v = 0; v < columns; v++)
        if (second->leaf[v] != TREE_NONE)
            node_of[second->leaf[v]] = v;
    for (size_t u = first->count; u-- > 0;) {
        uint32_t *row = common + u * columns;
        if (first->leaf[u] != TREE_NONE)
            for (size_t v = node_of[first->leaf[u]]; v != TREE_NONE; v = second->parent[v])
                row[v] = 1;
        if (u > 0)
            for (size_t v = 0; v < columns; v++)
                common[first->parent[u] * columns + v] += row[v];
    }
    free(node_of);
    return common;
}

/* Triplets ab|c that a tree decides: for each inner node, the pairs that part there, and who is outside. */
static uint64_t decided(const struct leafy *leafy)
{
    uint64_t sum = 0;
    for (size_t u = 0; u < leafy->count; u++) {
        uint64_t parting = pairs(leafy->size[u]);
        for (size_t i = leafy->first[u]; i < leafy->first[u + 1]; i++)
            parting -= pairs(leafy->size[leafy->child[i]]);
        sum += parting * (leafy->size[0] - leafy->size[u]);
    }
    return sum;
}

/* For one inner node of each tree: the pairs that part at both, and the triplets of which the trees say
 * different things with these nodes: a below both, b only where u is, c only where v is. */
static void compare_nodes(const struct leafy *first, const struct leafy *second, const uint32_t *common,
                          size_t u, size_t v, uint64_t *parting, uint64_t *differing)
{
    size_t columns = second->count;
    uint64_t both = common[u * columns + v];
    *parting = pairs(both);
    *differing = 0;
    for (size_t i = first->first[u]; i < first->first[u + 1]; i++) {
        size_t x = first->child[i];
        uint64_t only_u = (first->size[u] - both) - (first->size[x] - common[x * columns + v]);
        *parting -= pairs(common[x * columns + v]);
        for (size_t j = second->first[v]; j < second->first[v + 1]; j++) {
            size_t y = second->child[j];
            uint64_t meet = common[x * columns + y];
            uint64_t only_v = (second->size[v] - both) - (second->size[y] - common[u * columns + y]);
            *parting += pairs(meet);
            *differing += meet * only_u * only_v;
        }
    }
    for (size_t j = second->first[v]; j < second->first[v + 1]; j++)
        *parting -= pairs(common[u * columns + second->child[j]]);
}

static void compare_triplets(const struct leafy *first, const struct leafy *second,
                             struct tree_comparison *comparison)
{
    uint64_t leaves = comparison->shared, same = 0, contradicting = 0;
    uint32_t *common = count_common(first, second, leaves);
    for (size_t u = 0; u < first->count; u++)
        for (size_t v = 0; v < second->count; v++) {
            uint64_t both = common[u * second->count + v], parting, differing;
            if (first->leaf[u] != TREE_NONE || second->leaf[v] != TREE_NONE || both == 0)
                continue;
            compare_nodes(first, second, common, u, v, &parting, &differing);
            same += parting * (leaves - first->size[u] - second->size[v] + both);
            contradicting += differing;
        }
    free(common);
    /* What both leave open: all, less what either decides. */
    uint64_t either = decided(first) + decided(second) - same - contradicting;
    comparison->triplets = leaves * (leaves - 1) / 2 * (leaves - 2) / 3;
    comparison->differing = either - same;
    comparison->contradicting = contradicting;
}

enum status tree_compare(const struct tree *first, const struct tree *second,
                         struct tree_comparison *comparison, struct error *error)
{
    struct arena arena = ARENA_INIT;
    struct tree joined[2];
    struct leafy leafy[2];
    size_t *numbers[2];
    *comparison = (struct tree_comparison){0};
    tree_join(first, &arena, &joined[0]);
    tree_join(second, &arena, &joined[1]);
    const struct tree *const trees[2] = {&joined[0], &joined[1]};
    enum status status = number_shared(trees, numbers, &arena, comparison, error);
    if (!status) {
        for (int t = 0; t < 2; t++)
            reduce(trees[t], numbers[t], &arena, &leafy[t]);
        compare_groups(&leafy[0], &leafy[1], &arena, comparison);
        compare_triplets(&leafy[0], &leafy[1], comparison);
    }
    arena_release(&arena);
    return status;
}
