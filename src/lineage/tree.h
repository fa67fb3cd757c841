/* tree.h: a rooted forest of named things, with any number of children to a node: what an inference gives,
 * what is compared, what Newick and NEXUS files hold.
 *
 * Inner nodes may have names (ancestors that are variants themselves) or none (branchings that an inference
 * supposes). A tree lives in the arena that it was built in. */
#ifndef CLADE_LINEAGE_TREE_H
#define CLADE_LINEAGE_TREE_H

#include "base/error.h"
#include "base/memory.h"
#include "lineage/network.h"
#include <stdbool.h>
#include <stddef.h>

#define TREE_NONE SIZE_MAX

struct tree_node {
    const char *name; /* NULL: none */
    size_t parent;    /* TREE_NONE at a root */
    double length;    /* of the branch above; NaN: unknown */
    double support; /* of the branch above: the share of replicates, or the margin, that speaks for it; NaN */
    /* Set by tree_link(): */
    size_t first_child, next_sibling; /* in the order in which they were added; a root's siblings are roots */
    size_t child_count;
};

struct tree {
    struct tree_node *nodes;
    size_t count;
    /* Set by tree_link(): */
    size_t first_root, root_count;
    size_t *order; /* depth first: a node stands before its children, and its descendants follow it */
};

/* Appends a node and returns its index. */
size_t tree_add(struct tree *tree, struct arena *arena, const char *name, size_t parent, double length,
                double support);

/* Builds what follows from names and parents. STATUS_OUTSIDE if the parents run in a circle. */
enum status tree_link(struct tree *tree, struct arena *arena, struct error *error);

/* The primary edges of a network, node for node; lengths are years between first versions, those of roots the
 * years since the oldest of several; support is the margin. */
void tree_from_network(const struct network *network, struct arena *arena, struct tree *tree);

/* The same tree under one root: itself if it has one, else with a root without a name above its roots. */
void tree_join(const struct tree *tree, struct arena *arena, struct tree *joined);

/* The same tree seen from the middle of the branch above `node`. Lengths are kept, support stays with the
 * branch that it speaks of, and a root that is left with one child and no name is taken out. The tree has one
 * root, and `node` is another. */
void tree_reroot(const struct tree *tree, size_t node, double share_below, struct arena *arena,
                 struct tree *rerooted);

/* Rooted in the middle of the longest way between two leaves; unknown lengths count as 1. */
void tree_reroot_at_middle(const struct tree *tree, struct arena *arena, struct tree *rerooted);

/* The same tree without the nodes that have no name and hang on a branch that is no longer than `length`:
 * their children move up. Leaves keep their order. */
void tree_collapse(const struct tree *tree, double length, struct arena *arena, struct tree *collapsed);

/* The date YYYY, YYYY-MM or YYYY-MM-DD as a year with a fraction, in the middle of what it leaves open; NaN
 * for NULL. */
double date_year(const char *date);

#endif
