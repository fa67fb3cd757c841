#include "lineage/selection.h"
#include "lineage/queries.h"

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
