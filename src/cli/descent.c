#include "cli/descent.h"

enum status command_network(struct command_line *line, struct network *network, struct error *error)
{
    struct catalog *catalog;
    enum status status = command_catalog(line, &catalog, error);
    return status ? status : network_from_catalog(catalog, &line->arena, network, error);
}

enum status command_nodes(struct command_line *line, const struct network *network, size_t **nodes,
                          struct error *error)
{
    *nodes = arena_allocate(&line->arena, size_multiply(line->operand_count + 1, sizeof **nodes));
    enum status status = STATUS_OK;
    for (size_t i = 0; i < line->operand_count && !status; i++)
        status = network_require(network, line->operands[i], &(*nodes)[i], error);
    return status;
}

cJSON *node_json(const struct network_node *node)
{
    cJSON *object = cJSON_CreateObject();
    json_set_text(object, "key", node->key);
    json_set_text(object, "name", node->name);
    json_set_text(object, "date", node->date);
    json_set_text(object, "family", node->family);
    json_set_text(object, "kind", node->kind);
    return object;
}

cJSON *edge_json(const struct network *network, size_t edge)
{
    const struct network_edge *described = &network->edges[edge];
    cJSON *object = cJSON_CreateObject();
    json_set_text(object, "parent", network->nodes[described->parent].key);
    json_set_text(object, "child", network->nodes[described->child].key);
    json_set_flag(object, "primary", described->primary);
    json_set_text(object, "changed", described->changed);
    json_set_text(object, "exception", described->exception);
    return object;
}

cJSON *keys_json(const struct network *network, const size_t *nodes, size_t count)
{
    cJSON *keys = cJSON_CreateArray();
    for (size_t i = 0; i < count; i++)
        cJSON_AddItemToArray(keys, cJSON_CreateString(network->nodes[nodes[i]].key));
    return keys;
}

const char *keys_text(const struct network *network, const size_t *nodes, size_t count, const char *separator,
                      struct arena *arena)
{
    const char *text = "";
    for (size_t i = 0; i < count; i++)
        text = arena_format(arena, "%s%s%s", text, i ? separator : "", network->nodes[nodes[i]].key);
    return text;
}
