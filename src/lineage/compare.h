/* compare.h: how far two trees agree. */
#ifndef CLADE_LINEAGE_COMPARE_H
#define CLADE_LINEAGE_COMPARE_H

#include "lineage/tree.h"
#include <stdint.h>

/* Both trees are cut down to the names that they share; an inner node with a name is a leaf that hangs from
 * itself, and forests hang from one root. */
struct tree_comparison {
    size_t shared, only_first, only_second; /* names */
    size_t robinson_foulds; /* groups of leaves that one of the trees has and the other has not */
    size_t groups;          /* in both trees together: the largest that it can be */
    /* Of any three leaves a tree may say which two belong together. */
    uint64_t triplets;      /* of the shared leaves */
    uint64_t differing;     /* on which the trees do not say the same */
    uint64_t contradicting; /* of these, those on which both say something */
};

/* STATUS_USAGE if a name stands twice in a tree, if they share fewer than three, or if they are too large for
 * the count of triplets (MOST_COMPARED leaves). */
enum { MOST_COMPARED = 5000 };
enum status tree_compare(const struct tree *first, const struct tree *second,
                         struct tree_comparison *comparison, struct error *error);

#endif
