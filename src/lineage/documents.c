#include "lineage/documents.h"
#include "base/fields.h"

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

cJSON *reach_json(const struct network *network, size_t node, enum direction direction, int depth,
                  struct arena *arena)
{
    cJSON *document = cJSON_CreateObject(), *nodes = cJSON_CreateArray(), *edges = cJSON_CreateArray();
    struct visit *visits;
    size_t count, *line, length;
    network_reach(network, node, direction, EDGES_ALL, depth, arena, &visits, &count);
    network_line(network, node, arena, &line, &length);
    bool *inside = arena_allocate(arena, network->node_count);
    for (size_t i = 0; i < count; i++) {
        cJSON *reached = node_json(&network->nodes[visits[i].node]);
        json_set_number(reached, "depth", visits[i].depth);
        cJSON_AddItemToArray(nodes, reached);
        inside[visits[i].node] = true;
    }
    for (size_t i = 0; i < network->edge_count; i++)
        if (inside[network->edges[i].parent] && inside[network->edges[i].child])
            cJSON_AddItemToArray(edges, edge_json(network, i));
    json_set_text(document, "key", network->nodes[node].key);
    json_set_text(document, "direction", direction == TO_DESCENDANTS ? "descendants" : "ancestors");
    cJSON_AddItemToObject(document, "line", keys_json(network, line, length));
    cJSON_AddItemToObject(document, "nodes", nodes);
    cJSON_AddItemToObject(document, "edges", edges);
    return document;
}

/* ---- pairs ---- */

enum status pair_read(struct catalog *catalog, const struct network *network, const char *a, const char *b,
                      struct arena *arena, struct pair *pair, struct error *error)
{
    struct variant_card *cards = arena_allocate(arena, 2 * sizeof *cards);
    *pair = (struct pair){.a = &cards[0].variant, .b = &cards[1].variant, .network = network};
    enum status status = network_require(network, a, &pair->node_a, error);
    if (!status)
        status = network_require(network, b, &pair->node_b, error);
    if (!status)
        status = catalog_card(catalog, a, arena, &cards[0], error);
    if (!status)
        status = catalog_card(catalog, b, arena, &cards[1], error);
    if (!status)
        status = difference_of(catalog, pair->a, pair->b, arena, &pair->difference, error);
    if (!status)
        pair->joined = network_path(network, pair->node_a, pair->node_b, arena, &pair->path);
    return status;
}

static void set_filling(cJSON *object, const char *name, const struct slot_filling *filling)
{
    if (!filling) {
        cJSON_AddNullToObject(object, name);
        return;
    }
    cJSON *described = cJSON_AddObjectToObject(object, name);
    json_set_text(described, "kernel", filling->kernel ? filling->kernel : filling->planned);
    json_set_flag(described, "written", filling->kernel);
    cJSON_AddItemToObject(described, "options", cJSON_Parse(filling->options));
}

static cJSON *slots_json(const struct difference *difference)
{
    cJSON *slots = cJSON_CreateArray();
    for (size_t i = 0; i < difference->slot_count; i++) {
        const struct slot_difference *slot = &difference->slots[i];
        cJSON *object = cJSON_CreateObject();
        json_set_text(object, "slot", slot->slot);
        json_set_text(object, "layer_a", slot->layer_a);
        json_set_text(object, "layer_b", slot->layer_b);
        set_filling(object, "a", slot->a);
        set_filling(object, "b", slot->b);
        json_set_flag(object, "same", slot->same);
        cJSON_AddItemToArray(slots, object);
    }
    return slots;
}

static cJSON *characters_of(const struct difference *difference)
{
    cJSON *characters = cJSON_CreateArray();
    for (size_t i = 0; i < difference->character_count; i++) {
        const struct character_difference *character = &difference->characters[i];
        cJSON *object = cJSON_CreateObject();
        json_set_text(object, "character", character->character);
        json_set_text(object, "a", character->a);
        json_set_text(object, "b", character->b);
        json_set_flag(object, "same", character->same);
        cJSON_AddItemToArray(characters, object);
    }
    return characters;
}

static cJSON *path_json(const struct pair *pair)
{
    if (!pair->joined)
        return cJSON_CreateNull();
    cJSON *path = cJSON_CreateObject(), *steps = cJSON_CreateArray();
    json_set_text(path, "top", pair->network->nodes[pair->path.top].key);
    json_set_flag(path, "over_donors", pair->path.edges == EDGES_ALL);
    for (size_t i = 0; i < pair->path.count; i++) {
        cJSON *step = edge_json(pair->network, pair->path.steps[i].edge);
        json_set_text(step, "direction", pair->path.steps[i].up ? "up" : "down");
        cJSON_AddItemToArray(steps, step);
    }
    cJSON_AddItemToObject(path, "steps", steps);
    return path;
}

cJSON *pair_json(const struct pair *pair)
{
    cJSON *document = cJSON_CreateObject();
    cJSON_AddItemToObject(document, "a", node_json(&pair->network->nodes[pair->node_a]));
    cJSON_AddItemToObject(document, "b", node_json(&pair->network->nodes[pair->node_b]));
    cJSON_AddItemToObject(document, "slots", slots_json(&pair->difference));
    cJSON_AddItemToObject(document, "characters", characters_of(&pair->difference));
    cJSON_AddItemToObject(document, "path", path_json(pair));
    return document;
}
