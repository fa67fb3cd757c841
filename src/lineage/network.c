#include "lineage/network.h"
#include "base/suggest.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

int date_compare(const char *a, const char *b)
{
    if (!a || !b)
        return 0;
    size_t length = strlen(a) < strlen(b) ? strlen(a) : strlen(b);
    return strncmp(a, b, length);
}

/* ---- order ---- */

static int compare_nodes(const void *a, const void *b, void *nodes)
{
    const struct network_node *all = nodes, *x = &all[*(const size_t *)a], *y = &all[*(const size_t *)b];
    if (!x->date != !y->date)
        return x->date ? -1 : 1;
    int order = x->date ? strcmp(x->date, y->date) : 0;
    return order ? order : strcmp(x->key, y->key);
}

static int compare_keys(const void *a, const void *b, void *nodes)
{
    const struct network_node *all = nodes;
    return strcmp(all[*(const size_t *)a].key, all[*(const size_t *)b].key);
}

static int compare_edges(const void *a, const void *b, void *edges)
{
    size_t i = *(const size_t *)a, j = *(const size_t *)b;
    const struct network_edge *all = edges, *x = &all[i], *y = &all[j];
    if (x->child != y->child)
        return x->child < y->child ? -1 : 1;
    if (x->primary != y->primary)
        return x->primary ? -1 : 1;
    return i < j ? -1 : i > j; /* donors keep their order */
}

static size_t *allocate_places(struct arena *arena, size_t count)
{
    return arena_allocate(arena, size_multiply(count + 1, sizeof(size_t)));
}

/* The places 0 .. count-1 in the order that `compare` gives the items at them. */
static size_t *sorted_places(struct arena *arena, size_t count, void *items,
                             int (*compare)(const void *, const void *, void *))
{
    size_t *places = allocate_places(arena, count);
    for (size_t i = 0; i < count; i++)
        places[i] = i;
    qsort_r(places, count, sizeof *places, compare, items);
    return places;
}

static void sort_nodes(struct network *network, struct arena *arena)
{
    size_t count = network->node_count;
    size_t *places = sorted_places(arena, count, network->nodes, compare_nodes);
    size_t *moved = allocate_places(arena, count);
    struct network_node *nodes = arena_allocate(arena, size_multiply(count + 1, sizeof *nodes));
    for (size_t i = 0; i < count; i++) {
        nodes[i] = network->nodes[places[i]];
        moved[places[i]] = i;
    }
    network->nodes = nodes;
    network->by_key = sorted_places(arena, count, nodes, compare_keys);
    for (size_t i = 0; i < network->edge_count; i++) {
        network->edges[i].parent = moved[network->edges[i].parent];
        network->edges[i].child = moved[network->edges[i].child];
    }
}

static void sort_edges(struct network *network, struct arena *arena)
{
    size_t count = network->edge_count;
    size_t *places = sorted_places(arena, count, network->edges, compare_edges);
    struct network_edge *edges = arena_allocate(arena, size_multiply(count + 1, sizeof *edges));
    for (size_t i = 0; i < count; i++)
        edges[i] = network->edges[places[i]];
    network->edges = edges;
}

/* ---- linking ---- */

static enum status check_edges(const struct network *network, struct error *error)
{
    for (size_t i = 0; i < network->edge_count; i++) {
        const struct network_edge *edge = &network->edges[i];
        if (edge->parent >= network->node_count || edge->child >= network->node_count)
            return error_set(error, STATUS_OUTSIDE, "an edge of the network leads to no variant");
        if (edge->parent == edge->child)
            return error_set(error, STATUS_OUTSIDE, "variant '%s' is its own parent",
                             network->nodes[edge->child].key);
    }
    return STATUS_OK;
}

/* Gives each node its edges; they are sorted by child, so that children come in the order of their nodes. */
static enum status attach_edges(struct network *network, struct arena *arena, struct error *error)
{
    size_t *child_edges = allocate_places(arena, network->edge_count);
    size_t *parent_edges = allocate_places(arena, network->edge_count);
    for (size_t i = 0; i < network->node_count; i++) {
        struct network_node *node = &network->nodes[i];
        node->parent_count = node->child_count = 0;
        node->primary = NETWORK_NONE;
    }
    for (size_t i = 0; i < network->edge_count; i++) {
        network->nodes[network->edges[i].parent].child_count++;
        network->nodes[network->edges[i].child].parent_count++;
    }
    for (size_t i = 0; i < network->node_count; i++) {
        struct network_node *node = &network->nodes[i];
        node->parents = parent_edges;
        node->children = child_edges;
        parent_edges += node->parent_count;
        child_edges += node->child_count;
        node->parent_count = node->child_count = 0;
    }
    for (size_t i = 0; i < network->edge_count; i++) {
        const struct network_edge *edge = &network->edges[i];
        struct network_node *parent = &network->nodes[edge->parent], *child = &network->nodes[edge->child];
        if (edge->primary && child->primary != NETWORK_NONE)
            return error_set(error, STATUS_OUTSIDE, "variant '%s' has two primary parents, '%s' and '%s'",
                             child->key, network->nodes[network->edges[child->primary].parent].key,
                             parent->key);
        if (edge->primary)
            child->primary = i;
        parent->children[parent->child_count++] = i;
        child->parents[child->parent_count++] = i;
    }
    return STATUS_OK;
}

/* Orders the nodes parents first. Nodes are sorted by date and few edges run against time, so that a pass
 * over the nodes that are left places nearly all of them. */
static enum status order_nodes(struct network *network, struct arena *arena, struct error *error)
{
    size_t placed = 0, count = network->node_count;
    network->order = allocate_places(arena, count);
    bool *done = arena_allocate(arena, count + 1);
    while (placed < count) {
        size_t before = placed, stuck = NETWORK_NONE;
        for (size_t i = 0; i < count; i++) {
            const struct network_node *node = &network->nodes[i];
            bool ready = !done[i];
            for (size_t j = 0; ready && j < node->parent_count; j++)
                ready = done[network->edges[node->parents[j]].parent];
            if (ready) {
                done[i] = true;
                network->order[placed++] = i;
            } else if (!done[i]) {
                stuck = i;
            }
        }
        if (placed == before)
            return error_set(error, STATUS_OUTSIDE, "the descent of variant '%s' runs in a circle",
                             network->nodes[stuck].key);
    }
    return STATUS_OK;
}

enum status network_link(struct network *network, struct arena *arena, struct error *error)
{
    enum status status = check_edges(network, error);
    if (status)
        return status;
    sort_nodes(network, arena);
    sort_edges(network, arena);
    status = attach_edges(network, arena, error);
    return status ? status : order_nodes(network, arena, error);
}

/* ---- look-up ---- */

size_t network_find(const struct network *network, const char *key)
{
    size_t low = 0, high = network->node_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2, node = network->by_key[middle];
        int order = strcmp(key, network->nodes[node].key);
        if (order == 0)
            return node;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NETWORK_NONE;
}

enum status network_require(const struct network *network, const char *key, size_t *node, struct error *error)
{
    *node = network_find(network, key);
    if (*node != NETWORK_NONE)
        return STATUS_OK;
    const char **keys = memory_allocate(size_multiply(network->node_count + 1, sizeof *keys));
    for (size_t i = 0; i < network->node_count; i++)
        keys[i] = network->nodes[network->by_key[i]].key;
    enum status status = suggest_error(error, "variant", key, keys, network->node_count);
    free(keys);
    return status;
}

size_t network_primary_parent(const struct network *network, size_t node)
{
    size_t edge = network->nodes[node].primary;
    return edge == NETWORK_NONE ? NETWORK_NONE : network->edges[edge].parent;
}

/* ---- from the catalogue ---- */

enum status network_from_catalog(struct catalog *catalog, struct arena *arena, struct network *network,
                                 struct error *error)
{
    struct catalog_filter everything = {0};
    struct variant_row *rows;
    struct parent_link *links;
    *network = (struct network){0};
    enum status status = catalog_list(catalog, &everything, arena, &rows, &network->node_count, error);
    if (!status)
        status = catalog_parent_links(catalog, arena, &links, &network->edge_count, error);
    if (status)
        return status;
    network->nodes = arena_allocate(arena, size_multiply(network->node_count + 1, sizeof *network->nodes));
    for (size_t i = 0; i < network->node_count; i++)
        network->nodes[i] = (struct network_node){
            .key = rows[i].key,
            .name = rows[i].name,
            .title = rows[i].title,
            .date = rows[i].date,
            .family = rows[i].family,
            .kind = rows[i].kind,
            .year = rows[i].year,
            .runnable = rows[i].runnable,
        };
    network->by_key = sorted_places(arena, network->node_count, network->nodes, compare_keys);
    network->edges = arena_allocate(arena, size_multiply(network->edge_count + 1, sizeof *network->edges));
    for (size_t i = 0; i < network->edge_count; i++)
        network->edges[i] = (struct network_edge){
            .parent = network_find(network, links[i].parent),
            .child = network_find(network, links[i].child),
            .primary = links[i].primary,
            .changed = links[i].changed,
            .exception = links[i].exception,
            .margin = NAN,
        };
    return network_link(network, arena, error);
}
