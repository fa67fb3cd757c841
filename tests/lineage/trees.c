#include "trees.h"
#include "lineage/exchange.h"
#include "lineage/read.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arena trees = ARENA_INIT;

int trees_teardown(void **state)
{
    arena_release(&trees);
    return 0;
}

struct tree tree_of(const char *newick)
{
    struct tree tree;
    struct error error = ERROR_INIT;
    if (newick_parse("text", newick, strlen(newick), &trees, &tree, &error))
        fail_msg("%s", error.message);
    return tree;
}

const char *newick_of(const struct tree *tree)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    newick_print(tree, stream);
    fclose(stream);
    char *copy = arena_copy_string(&trees, text);
    free(text);
    copy[strcspn(copy, "\n")] = '\0';
    return copy;
}

size_t node_named(const struct tree *tree, const char *name)
{
    for (size_t i = 0; i < tree->count; i++)
        if (tree->nodes[i].name && strcmp(tree->nodes[i].name, name) == 0)
            return i;
    fail_msg("no node '%s'", name);
    return TREE_NONE;
}

uint64_t chance(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

size_t chance_below(uint64_t *state, size_t bound)
{
    return (size_t)(chance(state) >> 11) % bound;
}

double chance_real(uint64_t *state)
{
    return (double)(chance(state) >> 11) / 9007199254740992.0;
}

/* Grows by splitting leaves. */
struct tree random_tree(uint64_t *state, size_t leaves, double collapsed, double named)
{
    struct tree tree = {0}, result;
    struct error error = ERROR_INIT;
    size_t *tips = arena_allocate(&trees, (leaves + 1) * sizeof *tips), tip_count = 1;
    tips[0] = tree_add(&tree, &trees, NULL, TREE_NONE, NAN, NAN);
    while (tip_count < leaves) {
        size_t split = chance_below(state, tip_count), parent = tips[split];
        tips[split] = tree_add(&tree, &trees, NULL, parent, chance_real(state), NAN);
        tips[tip_count++] = tree_add(&tree, &trees, NULL, parent, chance_real(state), NAN);
    }
    for (size_t i = 0; i < leaves; i++)
        tree.nodes[tips[i]].name = arena_format(&trees, "t%zu", i);
    for (size_t i = 0; i < tree.count; i++)
        if (!tree.nodes[i].name && tree.nodes[i].parent != TREE_NONE && chance_real(state) < collapsed)
            tree.nodes[i].length = -1;
    assert_int_equal(tree_link(&tree, &trees, &error), STATUS_OK);
    tree_collapse(&tree, -0.5, &trees, &result);
    size_t number = 0;
    for (size_t i = 0; i < result.count; i++)
        if (!result.nodes[i].name && chance_real(state) < named)
            result.nodes[i].name = arena_format(&trees, "n%zu", number++);
    return result;
}

static size_t depth_of(const struct tree *tree, size_t node)
{
    size_t depth = 0;
    for (; tree->nodes[node].parent != TREE_NONE; node = tree->nodes[node].parent)
        depth++;
    return depth;
}

double way_between(const struct tree *tree, size_t a, size_t b)
{
    size_t depth_a = depth_of(tree, a), depth_b = depth_of(tree, b);
    double way = 0;
    while (a != b) {
        size_t *lower = depth_a >= depth_b ? &a : &b, *depth = depth_a >= depth_b ? &depth_a : &depth_b;
        way += tree->nodes[*lower].length;
        *lower = tree->nodes[*lower].parent;
        --*depth;
    }
    return way;
}
