/* parsimony.h: how many changes of state a tree needs (Fitch 1971; with any number of children, Hartigan
 * 1973), and where they may have happened.
 *
 * A cell with several states means that one of them, not said which, is the state; an unknown cell may be
 * any. A named inner node counts as a leaf that hangs from itself. */
#ifndef CLADE_LINEAGE_PARSIMONY_H
#define CLADE_LINEAGE_PARSIMONY_H

#include "lineage/characters.h"
#include "lineage/tree.h"

/* steps[character]: the fewest changes; returns their sum. */
size_t parsimony_steps(const struct tree *tree, const struct character_matrix *matrix, size_t *steps);

/* The fewest changes that any tree needs: states that occur alone, less one. */
size_t parsimony_least(const struct character_matrix *matrix, size_t character);

/* A state that came up several times. */
struct convergence {
    size_t character, state;
    size_t *nodes; /* where: nodes of the tree, depth first */
    size_t count;  /* at least 2 */
};

/* Of one most parsimonious history of each character, in which changes are as early as they can be, the
 * states that were gained more than once. By count, the most frequent first. */
void parsimony_convergences(const struct tree *tree, const struct character_matrix *matrix,
                            struct arena *arena, struct convergence **convergences, size_t *count);

#endif
