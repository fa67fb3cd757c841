#include "lineage/selection.h"
#include "base/suggest.h"
#include "lineage/queries.h"
#include <string.h>

enum status network_select(const struct network *network, const bool *keep, struct arena *arena,
                           struct network *part, struct error *error)
{
    size_t *moved = arena_allocate(arena, size_multiply(network->node_count + 1, sizeof *moved));
    *part = (struct network){0};
    part->nodes = arena_allocate(arena, size_multiply(network->node_count + 1, sizeof *part->nodes));
    part->edges = arena_allocate(arena, size_multiply(network->edge_count + 1, sizeof *part->edges));
    for (size_t i = 0; i < network->node_count; i++)
        if (keep[i]) {
            moved[i] = part->node_count;
            part->nodes[part->node_count++] = network->nodes[i];
        }
    for (size_t i = 0; i < network->edge_count; i++) {
        struct network_edge edge = network->edges[i];
        if (!keep[edge.parent] || !keep[edge.child])
            continue;
        edge.parent = moved[edge.parent];
        edge.child = moved[edge.child];
        part->edges[part->edge_count++] = edge;
    }
    return network_link(part, arena, error);
}

static void mark(const struct network *network, size_t start, enum direction direction, enum edges edges,
                 int depth, struct arena *arena, bool *keep)
{
    struct visit *visits;
    size_t count;
    network_reach(network, start, direction, edges, depth, arena, &visits, &count);
    for (size_t i = 0; i < count; i++)
        keep[visits[i].node] = true;
}

enum status network_select_descent(const struct network *network, const char *key, struct arena *arena,
                                   struct network *part, struct error *error)
{
    size_t node;
    enum status status = network_require(network, key, &node, error);
    if (status)
        return status;
    bool *keep = arena_allocate(arena, network->node_count + 1);
    mark(network, node, TO_DESCENDANTS, EDGES_PRIMARY, -1, arena, keep);
    return network_select(network, keep, arena, part, error);
}

enum status network_select_near(const struct network *network, const char *key, int depth,
                                struct arena *arena, struct network *part, struct error *error)
{
    size_t node;
    enum status status = network_require(network, key, &node, error);
    if (status)
        return status;
    bool *keep = arena_allocate(arena, network->node_count + 1);
    mark(network, node, TO_ANCESTORS, EDGES_ALL, depth, arena, keep);
    mark(network, node, TO_DESCENDANTS, EDGES_ALL, depth, arena, keep);
    return network_select(network, keep, arena, part, error);
}

static enum status unknown_family(const struct network *network, const char *family, struct arena *arena,
                                  struct error *error)
{
    const char **known = arena_allocate(arena, size_multiply(network->node_count + 1, sizeof *known));
    size_t count = 0;
    for (size_t i = 0; i < network->node_count; i++)
        if (network->nodes[i].family)
            known[count++] = network->nodes[i].family;
    return suggest_error(error, "family", family, known, count);
}

enum status network_select_variants(const struct network *network, const char *const *keys, size_t count,
                                    struct arena *arena, struct network *part, struct error *error)
{
    bool *keep = arena_allocate(arena, network->node_count + 1);
    for (size_t i = 0; i < count; i++) {
        size_t node;
        enum status status = network_require(network, keys[i], &node, error);
        if (status)
            return status;
        mark(network, node, TO_ANCESTORS, EDGES_PRIMARY, -1, arena, keep);
    }
    return network_select(network, keep, arena, part, error);
}

enum status network_select_families(const struct network *network, const char *families, struct arena *arena,
                                    struct network *part, struct error *error)
{
    bool *keep = arena_allocate(arena, network->node_count + 1);
    for (const char *rest = families; *rest;) {
        size_t length = strcspn(rest, ",");
        const char *family = arena_format(arena, "%.*s", (int)length, rest);
        bool known = false;
        for (size_t i = 0; i < network->node_count; i++) {
            const char *own = network->nodes[i].family;
            if (!own || strcmp(own, family) != 0)
                continue;
            known = true;
            mark(network, i, TO_ANCESTORS, EDGES_PRIMARY, -1, arena, keep);
        }
        if (!known)
            return unknown_family(network, family, arena, error);
        rest += length + (rest[length] == ',');
    }
    return network_select(network, keep, arena, part, error);
}
