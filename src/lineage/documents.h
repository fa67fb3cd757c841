/* documents.h: answers about descent as JSON, for the command line and the server alike. Their fields are
 * documented in the help of the commands that are named here; the caller deletes the documents. */
#ifndef CLADE_LINEAGE_DOCUMENTS_H
#define CLADE_LINEAGE_DOCUMENTS_H

#include "lineage/difference.h"
#include "lineage/network.h"
#include "lineage/queries.h"
#include <cjson/cJSON.h>

/* {key, name, date, family, kind} */
cJSON *node_json(const struct network_node *node);
/* {parent, child, primary, changed, exception} */
cJSON *edge_json(const struct network *network, size_t edge);
/* [key, ...] */
cJSON *keys_json(const struct network *network, const size_t *nodes, size_t count);

/* `clade lineage`: ancestors or descendants within `depth` edges; below 0: all. */
cJSON *reach_json(const struct network *network, size_t node, enum direction direction, int depth,
                  struct arena *arena);

/* `clade diff`: two variants and the way between them. */
struct pair {
    const struct variant *a, *b;
    struct difference difference;
    const struct network *network;
    size_t node_a, node_b;
    bool joined; /* `path` is there */
    struct path path;
};
enum status pair_read(struct catalog *catalog, const struct network *network, const char *a, const char *b,
                      struct arena *arena, struct pair *pair, struct error *error);
cJSON *pair_json(const struct pair *pair);

#endif
