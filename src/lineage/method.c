#include "lineage/method.h"
#include "base/suggest.h"
#include "lineage/read.h"
#include <string.h>
#include <unistd.h>

static enum status infer_from_citations(struct catalog *catalog, struct arena *arena,
                                        struct method_tree *tree, struct error *error)
{
    struct network inferred;
    enum status status = network_from_citations(catalog, &tree->network, arena, &inferred, &tree->evidence,
                                                &tree->links, error);
    if (status)
        return status;
    tree->network = inferred;
    tree_from_network(&inferred, arena, &tree->tree);
    return STATUS_OK;
}

static size_t find_leaf(const struct tree *tree, const char *name)
{
    for (size_t i = 0; i < tree->count; i++)
        if (tree->nodes[i].name && strcmp(tree->nodes[i].name, name) == 0)
            return i;
    return TREE_NONE;
}

/* UPGMA has a root of its own. */
static enum status set_root(struct arena *arena, const struct character_method *method, struct tree *tree,
                            struct error *error)
{
    struct tree rooted;
    if (method->outgroup) {
        size_t leaf = find_leaf(tree, method->outgroup);
        if (leaf == TREE_NONE)
            return error_set(error, STATUS_USAGE,
                             "variant '%.100s' has too few known characters for an outgroup",
                             method->outgroup);
        tree_reroot(tree, leaf, 0.5, arena, &rooted);
    } else if (method->joining == JOINING_NEIGHBOURS) {
        tree_reroot_at_middle(tree, arena, &rooted);
    } else {
        return STATUS_OK;
    }
    *tree = rooted;
    return STATUS_OK;
}

/* Variants of the same characters hang from one node. */
#define NO_LENGTH 1e-9

/* Fewer known characters than these place a variant nowhere. */
enum { KNOWN_CHARACTERS = 4 };

static enum status infer_from_characters(struct catalog *catalog, struct arena *arena,
                                         const struct character_method *method, struct method_tree *tree,
                                         struct error *error)
{
    size_t node;
    enum status status = characters_from_catalog(catalog, KNOWN_CHARACTERS, arena, &tree->matrix, error);
    if (!status && tree->matrix.taxon_count < 3)
        status = error_set(error, STATUS_NO, "only %zu variants have kernels with characters",
                           tree->matrix.taxon_count);
    if (!status && method->outgroup)
        status = network_require(&tree->network, method->outgroup, &node, error);
    if (status)
        return status;
    tree->network.edge_count = 0;
    status = network_link(&tree->network, arena, error);
    struct tree joined;
    character_tree(&tree->matrix, method->joining, arena, &joined);
    tree_collapse(&joined, NO_LENGTH, arena, &tree->tree);
    if (!status)
        status = set_root(arena, method, &tree->tree, error);
    if (!status && method->replicates)
        bootstrap_support(&tree->matrix, method->joining, method->replicates, 1, &tree->tree);
    return status;
}

static enum status read_tree_file(struct arena *arena, struct method_tree *tree, struct error *error)
{
    static const char *const methods[] = {"descent", "citation", "character"};
    bool file = strcmp(tree->name, "-") == 0 || access(tree->name, F_OK) == 0 || strpbrk(tree->name, "./");
    if (!file)
        return suggest_error(error, "method or file", tree->name, methods, 3);
    tree->network.edge_count = 0;
    enum status status = network_link(&tree->network, arena, error);
    return status ? status : tree_read(tree->name, arena, &tree->tree, error);
}

enum status method_tree(struct catalog *catalog, const char *name, const struct character_method *characters,
                        struct arena *arena, struct method_tree *tree, struct error *error)
{
    *tree = (struct method_tree){.name = name};
    enum status status = network_from_catalog(catalog, arena, &tree->network, error);
    if (status)
        return status;
    if (strcmp(name, "character") == 0)
        return infer_from_characters(catalog, arena, characters, tree, error);
    status = characters_from_catalog(catalog, 1, arena, &tree->matrix, error);
    if (status)
        return status;
    if (strcmp(name, "citation") == 0)
        return infer_from_citations(catalog, arena, tree, error);
    if (strcmp(name, "descent") != 0)
        return read_tree_file(arena, tree, error);
    tree_from_network(&tree->network, arena, &tree->tree);
    return STATUS_OK;
}
