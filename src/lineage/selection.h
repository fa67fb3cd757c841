/* selection.h: a part of a network as a network of its own. */
#ifndef CLADE_LINEAGE_SELECTION_H
#define CLADE_LINEAGE_SELECTION_H

#include "lineage/network.h"

/* The nodes that `keep` marks (one flag a node) and the edges among them. */
enum status network_select(const struct network *network, const bool *keep, struct arena *arena,
                           struct network *part, struct error *error);

/* The variant and all that descends from it along primary edges. */
enum status network_select_descent(const struct network *network, const char *key, struct arena *arena,
                                   struct network *part, struct error *error);

/* The variant, its ancestors and its descendants within `depth` edges, donors' edges too. */
enum status network_select_near(const struct network *network, const char *key, int depth,
                                struct arena *arena, struct network *part, struct error *error);

/* These variants and their primary ancestors. */
enum status network_select_variants(const struct network *network, const char *const *keys, size_t count,
                                    struct arena *arena, struct network *part, struct error *error);

/* The variants of the families in "a,b,c" and their primary ancestors of any family. STATUS_USAGE for a
 * family that no variant has. */
enum status network_select_families(const struct network *network, const char *families, struct arena *arena,
                                    struct network *part, struct error *error);

#endif
