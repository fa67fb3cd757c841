/* network.h: descent as a graph. Variants are nodes; an edge runs from a parent to the child that descends
 * from it (primary: at most one a child) or borrows from it (a donor). The whole is acyclic; the primary
 * edges form its trees.
 *
 * Nodes and edges are named by their index. A network lives in the arena it was built in and is not changed
 * afterwards. Trees that were inferred (from citations, from characters) are networks too: fill nodes and
 * edges and call network_link(). */
#ifndef CLADE_LINEAGE_NETWORK_H
#define CLADE_LINEAGE_NETWORK_H

#include "base/error.h"
#include "base/memory.h"
#include "catalog/catalog.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NETWORK_NONE SIZE_MAX

struct network_node {
    const char *key;
    const char *name, *title, *date, *family, *kind; /* NULL where the catalogue does not know */
    int year;                                        /* of the venue; 0 if unknown */
    bool runnable;
    /* Set by network_link(): */
    size_t primary;  /* edge to the node that it descends from; NETWORK_NONE at a root */
    size_t *parents; /* edges, the primary one first, donors in the order given */
    size_t parent_count;
    size_t *children; /* edges, in the order of the children's nodes: by date */
    size_t child_count;
};

struct network_edge {
    size_t parent, child; /* nodes */
    bool primary;
    const char *changed;   /* what the child changed or borrowed; NULL if unknown */
    const char *exception; /* why the parent may be younger than the child; else NULL */
    double margin; /* how far the method prefers this parent to the next; NaN where a person wrote it down */
};

struct network {
    struct network_node *nodes; /* sorted by date, then key; nodes without a date last */
    size_t node_count;
    struct network_edge *edges; /* sorted by child; the primary one first */
    size_t edge_count;
    size_t *order;  /* all nodes, parents before their children */
    size_t *by_key; /* all nodes, by key */
};

/* The descent that the catalogue's entries declare. */
enum status network_from_catalog(struct catalog *catalog, struct arena *arena, struct network *network,
                                 struct error *error);

/* Sorts nodes and edges (edges are renumbered to match) and builds the rest. STATUS_OUTSIDE if an edge has no
 * node, if a child has two primary parents, or if the edges make a circle. */
enum status network_link(struct network *network, struct arena *arena, struct error *error);

size_t network_find(const struct network *network, const char *key); /* NETWORK_NONE if there is none */
/* STATUS_USAGE "unknown variant 'mamba3': did you mean 'mamba2'?" if there is none. */
enum status network_require(const struct network *network, const char *key, size_t *node,
                            struct error *error);

/* The node that it descends from, or NETWORK_NONE at a root. */
size_t network_primary_parent(const struct network *network, size_t node);

/* Dates of which one may be less exact (YYYY, YYYY-MM, YYYY-MM-DD), compared as far as both go: below, equal
 * to or above 0. An unknown date is equal to any. */
int date_compare(const char *a, const char *b);

#endif
