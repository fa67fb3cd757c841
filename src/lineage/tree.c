#include "lineage/tree.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

size_t tree_add(struct tree *tree, struct arena *arena, const char *name, size_t parent, double length,
                double support)
{
    tree->nodes = arena_extend(arena, tree->nodes, tree->count, sizeof *tree->nodes);
    tree->nodes[tree->count] =
        (struct tree_node){.name = name, .parent = parent, .length = length, .support = support};
    return tree->count++;
}

/* Writes the nodes depth first; what stands in a circle is never reached. Returns how many were. */
static size_t write_order(struct tree *tree)
{
    size_t count = 0, node = tree->first_root;
    while (node != TREE_NONE) {
        tree->order[count++] = node;
        size_t next = tree->nodes[node].first_child;
        while (next == TREE_NONE && node != TREE_NONE) {
            next = tree->nodes[node].next_sibling;
            node = tree->nodes[node].parent;
        }
        node = next;
    }
    return count;
}

enum status tree_link(struct tree *tree, struct arena *arena, struct error *error)
{
    struct tree_node *nodes = tree->nodes;
    tree->first_root = TREE_NONE;
    tree->root_count = 0;
    for (size_t i = 0; i < tree->count; i++) {
        nodes[i].first_child = nodes[i].next_sibling = TREE_NONE;
        nodes[i].child_count = 0;
    }
    for (size_t i = tree->count; i-- > 0;) {
        bool root = nodes[i].parent == TREE_NONE;
        size_t *first = root ? &tree->first_root : &nodes[nodes[i].parent].first_child;
        size_t *count = root ? &tree->root_count : &nodes[nodes[i].parent].child_count;
        nodes[i].next_sibling = *first;
        *first = i;
        ++*count;
    }
    tree->order = arena_allocate(arena, size_multiply(tree->count + 1, sizeof *tree->order));
    if (write_order(tree) != tree->count)
        return error_set(error, STATUS_OUTSIDE, "the parents of a tree run in a circle");
    return STATUS_OK;
}

/* For trees whose parents are known to be in order. */
static void link_sound(struct tree *tree, struct arena *arena)
{
    struct error error = ERROR_INIT;
    if (tree_link(tree, arena, &error))
        BUG("%s", error.message);
}

double date_year(const char *date)
{
    if (!date)
        return NAN;
    double year = atoi(date), month = 6, day = 15;
    bool has_month = strlen(date) >= 7, has_day = strlen(date) >= 10;
    if (has_month)
        month = atoi(date + 5) - 1;
    if (has_day)
        day = atoi(date + 8) - 1;
    return has_month ? year + (month + day / 31) / 12 : year + 0.5;
}

/* The date of the oldest root if there are several, so that their distances from it join them in time. */
static double oldest_root(const struct network *network)
{
    double oldest = NAN;
    size_t roots = 0;
    for (size_t i = 0; i < network->node_count; i++)
        if (network->nodes[i].primary == NETWORK_NONE) {
            oldest = fmin(oldest, date_year(network->nodes[i].date));
            roots++;
        }
    return roots > 1 ? oldest : NAN;
}

void tree_from_network(const struct network *network, struct arena *arena, struct tree *tree)
{
    double oldest = oldest_root(network);
    *tree = (struct tree){0};
    for (size_t i = 0; i < network->node_count; i++) {
        const struct network_node *node = &network->nodes[i];
        const struct network_edge *edge =
            node->primary == NETWORK_NONE ? NULL : &network->edges[node->primary];
        double start = edge ? date_year(network->nodes[edge->parent].date) : oldest;
        double length = date_year(node->date) - start;
        tree_add(tree, arena, node->key, edge ? edge->parent : TREE_NONE, length < 0 ? 0 : length,
                 edge ? edge->margin : NAN);
    }
    link_sound(tree, arena);
}

void tree_join(const struct tree *tree, struct arena *arena, struct tree *joined)
{
    *joined = *tree;
    if (tree->root_count < 2)
        return;
    joined->nodes = arena_allocate(arena, size_multiply(tree->count + 1, sizeof *joined->nodes));
    memcpy(joined->nodes, tree->nodes, tree->count * sizeof *joined->nodes);
    joined->nodes[joined->count++] = (struct tree_node){.parent = TREE_NONE, .length = NAN, .support = NAN};
    for (size_t i = 0; i < tree->count; i++)
        if (joined->nodes[i].parent == TREE_NONE)
            joined->nodes[i].parent = tree->count;
    link_sound(joined, arena);
}

/* ---- rooting ---- */

/* Turns the branches between `node` and the root around, so that they hang from `root`, a new last node. */
static void turn_branches(const struct tree *tree, size_t node, double share_below, struct tree_node *turned)
{
    size_t root = tree->count, below = root;
    double length = tree->nodes[node].length, support = tree->nodes[node].support;
    turned[root] = (struct tree_node){.parent = TREE_NONE, .length = NAN, .support = NAN};
    turned[node].parent = root;
    turned[node].length = length * share_below;
    length *= 1 - share_below;
    for (size_t at = tree->nodes[node].parent; at != TREE_NONE; at = tree->nodes[at].parent) {
        turned[at].parent = below;
        turned[at].length = length;
        turned[at].support = support;
        length = tree->nodes[at].length;
        support = tree->nodes[at].support;
        below = at;
    }
}

/* Takes the old root out if one branch goes on from it: it is no branching any more. Returns it, or
 * TREE_NONE. */
static size_t take_out(const struct tree *tree, struct tree_node *turned)
{
    size_t old = tree->first_root, only = TREE_NONE;
    if (turned[old].name)
        return TREE_NONE;
    for (size_t i = 0; i <= tree->count; i++)
        if (turned[i].parent == old) {
            if (only != TREE_NONE)
                return TREE_NONE;
            only = i;
        }
    if (only == TREE_NONE)
        return TREE_NONE;
    turned[only].parent = turned[old].parent;
    turned[only].length += turned[old].length;
    if (isnan(turned[only].support))
        turned[only].support = turned[old].support;
    return old;
}

void tree_reroot(const struct tree *tree, size_t node, double share_below, struct arena *arena,
                 struct tree *rerooted)
{
    if (tree->root_count != 1 || tree->nodes[node].parent == TREE_NONE)
        BUG("a tree is rooted on a branch");
    struct tree_node *turned = arena_allocate(arena, size_multiply(tree->count + 1, sizeof *turned));
    size_t *moved = arena_allocate(arena, size_multiply(tree->count + 1, sizeof *moved)), kept = 0;
    memcpy(turned, tree->nodes, tree->count * sizeof *turned);
    turn_branches(tree, node, share_below, turned);
    size_t gone = take_out(tree, turned);
    for (size_t i = 0; i <= tree->count; i++)
        if (i != gone) {
            moved[i] = kept;
            turned[kept++] = turned[i];
        }
    for (size_t i = 0; i < kept; i++)
        if (turned[i].parent != TREE_NONE)
            turned[i].parent = moved[turned[i].parent];
    *rerooted = (struct tree){.nodes = turned, .count = kept};
    link_sound(rerooted, arena);
}

static double known_length(const struct tree_node *node)
{
    return isnan(node->length) ? 1 : node->length > 0 ? node->length : 0;
}

/* The deepest leaf below each node, and the node at which the longest way between leaves turns. */
struct depths {
    double *down;
    size_t *leaf;
    double longest; /* way between two leaves */
    size_t start;   /* the leaf at its deeper end */
};

static void measure_depths(const struct tree *tree, struct depths *depths)
{
    for (size_t i = 0; i < tree->count; i++)
        depths->leaf[i] = i;
    for (size_t i = tree->count; i-- > 0;) {
        size_t child = tree->order[i], parent = tree->nodes[child].parent;
        if (parent == TREE_NONE)
            continue;
        double depth = depths->down[child] + known_length(&tree->nodes[child]);
        bool first = depths->leaf[parent] == parent;
        if (!first && depth + depths->down[parent] > depths->longest) {
            depths->longest = depth + depths->down[parent];
            depths->start = depth > depths->down[parent] ? depths->leaf[child] : depths->leaf[parent];
        }
        if (first || depth > depths->down[parent]) {
            depths->down[parent] = depth;
            depths->leaf[parent] = depths->leaf[child];
        }
    }
}

void tree_reroot_at_middle(const struct tree *tree, struct arena *arena, struct tree *rerooted)
{
    struct depths depths = {
        .down = arena_allocate(arena, size_multiply(tree->count + 1, sizeof(double))),
        .leaf = arena_allocate(arena, size_multiply(tree->count + 1, sizeof(size_t))),
        .longest = -1,
        .start = TREE_NONE,
    };
    measure_depths(tree, &depths);
    *rerooted = *tree;
    if (depths.start == TREE_NONE)
        return;
    double left = depths.longest / 2;
    size_t node = depths.start;
    while (tree->nodes[node].parent != TREE_NONE && left > known_length(&tree->nodes[node])) {
        left -= known_length(&tree->nodes[node]);
        node = tree->nodes[node].parent;
    }
    double length = known_length(&tree->nodes[node]);
    if (tree->nodes[node].parent == TREE_NONE ||
        (left >= length && tree->nodes[node].parent == tree->first_root))
        return; /* the root is the middle */
    tree_reroot(tree, node, length > 0 ? left / length : 0.5, arena, rerooted);
}

/* ---- branches of no length ---- */

void tree_collapse(const struct tree *tree, double length, struct arena *arena, struct tree *collapsed)
{
    size_t *moved = arena_allocate(arena, size_multiply(tree->count + 1, sizeof *moved));
    size_t *above = arena_allocate(arena, size_multiply(tree->count + 1, sizeof *above));
    bool *gone = arena_allocate(arena, tree->count + 1);
    *collapsed = (struct tree){0};
    for (size_t i = 0; i < tree->count; i++) {
        size_t node = tree->order[i], parent = tree->nodes[node].parent;
        gone[node] = parent != TREE_NONE && tree->nodes[node].child_count && !tree->nodes[node].name &&
                     tree->nodes[node].length <= length;
        above[node] = parent != TREE_NONE && gone[parent] ? above[parent] : parent;
    }
    for (size_t i = 0; i < tree->count; i++)
        if (!gone[i]) {
            const struct tree_node *node = &tree->nodes[i];
            moved[i] = tree_add(collapsed, arena, node->name, above[i], node->length, node->support);
        }
    for (size_t i = 0; i < collapsed->count; i++)
        if (collapsed->nodes[i].parent != TREE_NONE)
            collapsed->nodes[i].parent = moved[collapsed->nodes[i].parent];
    link_sound(collapsed, arena);
}
