/* bootstrap.h: how firmly the characters hold a tree together (Felsenstein 1985). */
#ifndef CLADE_LINEAGE_BOOTSTRAP_H
#define CLADE_LINEAGE_BOOTSTRAP_H

#include "lineage/characters.h"
#include "lineage/tree.h"

enum joining { JOINING_NEIGHBOURS, JOINING_AVERAGE };

/* The tree of the matrix's distances. */
void character_tree(const struct character_matrix *matrix, enum joining joining, struct arena *arena,
                    struct tree *tree);

/* Sets the support of each inner branch of `tree`, whose leaves are the taxa of the matrix: the share of
 * replicates, in each of which the characters are drawn anew with repetition, whose tree divides the taxa as
 * that branch does; with JOINING_AVERAGE, whose rooted tree has the same group. The same seed gives the same
 * shares, whatever the number of threads. */
void bootstrap_support(const struct character_matrix *matrix, enum joining joining, size_t replicates,
                       uint64_t seed, struct tree *tree);

#endif
