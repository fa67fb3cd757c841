/* evidence.h: what there is to say of one variant's descent: what its entry declares, what changed, and what
 * the citations of its paper suggest. For the command line and the server alike. */
#ifndef CLADE_LINEAGE_EVIDENCE_H
#define CLADE_LINEAGE_EVIDENCE_H

#include "lineage/citation.h"
#include "lineage/difference.h"
#include <cjson/cJSON.h>

/* The citations among the variants of a network, weighed: the same for all of them. */
struct citations {
    const struct network *descent;
    struct citation_evidence weighed;
    struct node_link *links; /* that the candidates name */
};
enum status citations_read(struct catalog *catalog, const struct network *network, struct arena *arena,
                           struct citations *citations, struct error *error);

struct evidence {
    const struct citations *citations;
    size_t node;                  /* of the network */
    size_t parent;                /* that its entry declares; NETWORK_NONE at a root */
    struct difference difference; /* from that parent to the variant */
    struct parent_candidate *candidates;
    size_t candidate_count;
    struct arena *arena;
};

enum status evidence_read(struct catalog *catalog, const struct citations *citations, const char *key,
                          struct arena *arena, struct evidence *evidence, struct error *error);
/* Whether the citation method took this candidate for the parent. */
bool evidence_is_chosen(const struct evidence *evidence, size_t candidate);
/* What the entry says of a node: "parent", "donor", "ancestor" farther back; or NULL. */
const char *evidence_standing(const struct evidence *evidence, size_t node);
double evidence_weight_sum(const struct evidence *evidence);
/* What `clade why` prints; the caller deletes it. */
cJSON *evidence_json(const struct evidence *evidence);

#endif
