/* document.c: a tree as JSON. */
#include "base/fields.h"
#include "base/json.h"
#include "lineage/exchange.h"
#include <math.h>

static cJSON *key_of(const struct tree *tree, size_t node)
{
    char split[32];
    if (tree->nodes[node].name)
        return cJSON_CreateString(tree->nodes[node].name);
    snprintf(split, sizeof split, "split-%zu", node);
    return cJSON_CreateString(split);
}

static cJSON *donors_of(const struct network *network, const struct network_node *variant)
{
    cJSON *donors = cJSON_CreateArray();
    for (size_t i = 0; variant && i < variant->parent_count; i++) {
        const struct network_edge *edge = &network->edges[variant->parents[i]];
        if (!edge->primary)
            cJSON_AddItemToArray(donors, cJSON_CreateString(network->nodes[edge->parent].key));
    }
    return donors;
}

static cJSON *node_json(const struct lineage_document *document, size_t index)
{
    const struct tree_node *node = &document->tree->nodes[index];
    size_t found = node->name ? network_find(document->network, node->name) : NETWORK_NONE;
    const struct network_node *variant = found == NETWORK_NONE ? NULL : &document->network->nodes[found];
    size_t edge = variant ? variant->primary : NETWORK_NONE;
    cJSON *object = cJSON_CreateObject();
    cJSON_AddItemToObject(object, "key", key_of(document->tree, index));
    cJSON_AddItemToObject(object, "parent",
                          node->parent == TREE_NONE ? cJSON_CreateNull()
                                                    : key_of(document->tree, node->parent));
    cJSON_AddItemToObject(object, "donors", donors_of(document->network, variant));
    cJSON_AddItemToObject(
        object, "margin",
        json_number_or_null(edge == NETWORK_NONE ? NAN : document->network->edges[edge].margin));
    json_set_text(object, "changed", edge == NETWORK_NONE ? NULL : document->network->edges[edge].changed);
    json_set_text(object, "name", variant ? variant->name : NULL);
    json_set_text(object, "date", variant ? variant->date : NULL);
    json_set_text(object, "family", variant ? variant->family : NULL);
    json_set_text(object, "kind", variant ? variant->kind : NULL);
    cJSON_AddItemToObject(object, "length",
                          json_number_or_null(node->parent == TREE_NONE ? NAN : node->length));
    cJSON_AddItemToObject(object, "support", json_number_or_null(node->name ? NAN : node->support));
    return object;
}

cJSON *lineage_json(const struct lineage_document *document)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "method", document->method);
    cJSON *nodes = cJSON_AddArrayToObject(object, "nodes");
    for (size_t i = 0; i < document->tree->count; i++)
        cJSON_AddItemToArray(nodes, node_json(document, document->tree->order[i]));
    return object;
}
