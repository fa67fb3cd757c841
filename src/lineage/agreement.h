/* agreement.h: whom two networks take for the parent of each variant, and how far apart that is in the
 * first. */
#ifndef CLADE_LINEAGE_AGREEMENT_H
#define CLADE_LINEAGE_AGREEMENT_H

#include "lineage/network.h"

/* What the second network's parent is to the first network's, in the first network. */
enum kinship {
    KIN_SAME,       /* itself */
    KIN_ANCESTOR,   /* an ancestor on its line of primary descent */
    KIN_DONOR,      /* a donor of the variant */
    KIN_RELATIVE,   /* an ancestor over donors' edges too */
    KIN_DESCENDANT, /* one of its descendants on a primary line: a sibling of the variant, or below one */
    KIN_DISTANT,    /* none of these */
};

struct parent_verdict {
    size_t node;          /* of the first network; so are the next two */
    size_t first, second; /* the parents */
    enum kinship kinship;
    int steps;     /* between the parents; 0 where they are the same, -1 where they are distant */
    int distance;  /* edges from the variant up to the second parent, donors' too; -1: none lead there */
    double margin; /* of the second network's edge */
};

struct agreement {
    struct parent_verdict *verdicts; /* variants with a parent in both, in the order of the first network */
    size_t count;
};

/* Nodes are matched by key; a parent that the first network has not leaves its child out. */
void network_agreement(const struct network *first, const struct network *second, struct arena *arena,
                       struct agreement *agreement);

/* Verdicts whose second parent is the first or an ancestor of it up to `steps` edges away; with `donors`,
 * those whose second parent is any parent of the variant or such an ancestor of one, over all edges. */
size_t agreement_within(const struct agreement *agreement, int steps, bool donors);

#endif
