/* joining.h: trees from distances, and distances from characters.
 *
 * Distances are square matrices in rows, symmetric, zero on the diagonal. */
#ifndef CLADE_LINEAGE_JOINING_H
#define CLADE_LINEAGE_JOINING_H

#include "lineage/characters.h"
#include "lineage/tree.h"

/* The mean over the characters known in both of how the two differ: 0 for equal sets of states, 1 for sets
 * without a common state, else one less the share of common states. `weights` counts each character so often;
 * NULL: once. Pairs that know no character in common take the mean of all others. */
void character_distances(const struct character_matrix *matrix, const double *weights, double *distances);

/* Neighbour joining (Saitou and Nei 1987, as Studier and Keppler wrote it). The result has no root: its first
 * node joins three branches (two for two taxa). Branches may come out negative. Of equal pairs the first is
 * joined. O(count^3). */
void neighbour_joining(const char *const *names, const double *distances, size_t count, struct arena *arena,
                       struct tree *tree);

/* UPGMA: clusters by the mean distance of their members, rooted, all leaves at one depth. */
void average_linkage(const char *const *names, const double *distances, size_t count, struct arena *arena,
                     struct tree *tree);

#endif
