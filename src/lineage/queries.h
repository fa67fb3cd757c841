/* queries.h: questions about descent: ancestors, descendants, common ancestors, the way from one variant to
 * another, where a kernel comes from. Answers live in the arena that the caller passes. */
#ifndef CLADE_LINEAGE_QUERIES_H
#define CLADE_LINEAGE_QUERIES_H

#include "lineage/network.h"

enum edges { EDGES_PRIMARY, EDGES_ALL }; /* the tree of descent, or donors too */
enum direction { TO_ANCESTORS, TO_DESCENDANTS };

/* A node as it was first reached, breadth first. */
struct visit {
    size_t node;
    int depth;   /* edges from the start */
    size_t edge; /* the last of them; NETWORK_NONE at the start */
};

/* All that can be reached from a node within `depth` edges (below 0: any number), itself first; by depth,
 * then in the order of the edges. */
void network_reach(const struct network *network, size_t start, enum direction direction, enum edges edges,
                   int depth, struct arena *arena, struct visit **visits, size_t *count);

/* The line of primary descent from a root to `node`, both included. */
void network_line(const struct network *network, size_t node, struct arena *arena, size_t **line,
                  size_t *count);

/* The most recent common ancestors of `count` nodes, of which each is its own ancestor: those that have no
 * descendant among the common ones. At most one over the primary edges, perhaps several over all. By date,
 * the newest first. */
void network_common_ancestors(const struct network *network, const size_t *nodes, size_t count,
                              enum edges edges, struct arena *arena, size_t **ancestors, size_t *found);

/* The shortest way from a node up to a common ancestor and down to another: along the primary edges if they
 * join the two, else along all. */
struct path_step {
    size_t edge;
    bool up; /* from child to parent */
};
struct path {
    size_t top; /* the common ancestor */
    enum edges edges;
    struct path_step *steps;
    size_t count;
};
/* False if the two have no common ancestor. */
bool network_path(const struct network *network, size_t from, size_t to, struct arena *arena,
                  struct path *path);

/* ---- where a kernel comes from ---- */

enum adoption {
    ADOPTION_ORIGIN,    /* had it first */
    ADOPTION_INHERITED, /* from its primary parent */
    ADOPTION_BORROWED,  /* from a donor */
    ADOPTION_DISTANT,   /* from an ancestor farther off, past ones that do without it */
    ADOPTION_FRAME,     /* a component older than the kernel, shown in a block of today */
    ADOPTION_UNTRACED,  /* no ancestor has it: convergent, or a parent is not written down */
};
extern const char *const adoption_names[]; /* "origin", "inherited", ... */

struct kernel_use {
    size_t node;
    const char *slot;
    bool planned; /* the kernel is not written yet */
    enum adoption adoption;
    size_t from; /* whom it was taken from; NETWORK_NONE if from none */
};

/* Every variant whose composition has the kernel, by date. `origin` is the key of the variant that is said to
 * have invented it; NULL or one that does not have it: the oldest that has it is taken, a component only
 * where there is nothing else. No use is a count of 0. */
void network_kernel_uses(const struct network *network, const struct composition_row *rows, size_t row_count,
                         const char *kernel, const char *origin, struct arena *arena,
                         struct kernel_use **uses, size_t *count);

#endif
