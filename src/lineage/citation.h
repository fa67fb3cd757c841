/* citation.h: descent as citations suggest it, without a word of the descent that people wrote down.
 *
 * A reference list names everything that a paper leans on, compares with, or mentions; one entry of it is the
 * parent. What speaks for an entry:
 *
 *   its own link      weight 2 if the sentence uses its method, else 1 (most links are not classified); twice that
 *                     if the service calls the link influential; times the root of the number of sentences that
 *                     mention it, up to 4
 *   the later view    papers that cite the child: do they cite this entry too? With s the share of them that do
 *                     and b the share of all papers that do, the weight is s * s / b: often named with the child,
 *                     and more often than elsewhere. Few such papers say little, so that s starts from b as if
 *                     LATER_PRIOR of them had been seen
 *   the way back      WAY_BACK of an entry's weight speaks for what that entry cites in turn, by the same
 *                     weights, and its square for what lies one step farther back: where the evidence is spread over
 *                     cousins, it meets again at their ancestor
 *
 * The weights of a child's entries are brought to the sum 1 before they flow. A parent is never younger than
 * its child; papers of one date may cite each other, so that the parents are chosen together, as the heaviest
 * forest. Links that a person entered count for nothing. */
#ifndef CLADE_LINEAGE_CITATION_H
#define CLADE_LINEAGE_CITATION_H

#include "lineage/network.h"

#define LATER_PRIOR 6.0
#define WAY_BACK 0.6

/* A citation among nodes. */
struct node_link {
    uint32_t citing, cited;
    unsigned intents;          /* of enum citation_intent */
    int influential, contexts; /* -1: unknown */
};

/* What speaks for one possible parent. */
struct parent_candidate {
    uint32_t parent, child;
    size_t link;    /* in the list of links */
    uint32_t later; /* papers that cite both */
    double share;   /* of the child's own evidence, 0 to 1 */
    double weight;  /* with what flows back to it */
};

struct citation_evidence {
    struct parent_candidate *candidates; /* by child; those of one child by weight, the heaviest first */
    size_t candidate_count;
    size_t *first;    /* candidates of node i are first[i] .. first[i + 1] - 1 */
    uint32_t *citing; /* papers that cite node i and are no older */
    size_t *chosen;   /* candidate that leads to node i; NETWORK_NONE at a root */
    double
        *margin; /* 0 to 1: how far the chosen parent's weight is from the next one's, in shares of its own;
                       * 1 where there is no other, NaN at a root */
};

/* `dates` may hold NULL. Links to oneself, doubled links and those to younger papers are left out. */
void citation_infer(const char *const *dates, size_t node_count, const struct node_link *links,
                    size_t link_count, struct arena *arena, struct citation_evidence *evidence);

/* The same for the catalogue's links among the nodes of `variants`, of which only keys and dates are used.
 * The inferred network has the same nodes in the same places. `links` are those that the candidates name. */
enum status network_from_citations(struct catalog *catalog, const struct network *variants,
                                   struct arena *arena, struct network *inferred,
                                   struct citation_evidence *evidence, struct node_link **links,
                                   struct error *error);

#endif
