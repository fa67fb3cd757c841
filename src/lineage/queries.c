#include "lineage/queries.h"
#include <string.h>

/* ---- reach ---- */

static bool follows(const struct network_edge *edge, enum edges edges)
{
    return edges == EDGES_ALL || edge->primary;
}

void network_reach(const struct network *network, size_t start, enum direction direction, enum edges edges,
                   int depth, struct arena *arena, struct visit **visits, size_t *count)
{
    bool *seen = arena_allocate(arena, network->node_count);
    struct visit *reached = arena_allocate(arena, size_multiply(network->node_count, sizeof *reached));
    size_t end = 0;
    reached[end++] = (struct visit){start, 0, NETWORK_NONE};
    seen[start] = true;
    for (size_t i = 0; i < end; i++) {
        const struct network_node *node = &network->nodes[reached[i].node];
        bool up = direction == TO_ANCESTORS;
        size_t degree = up ? node->parent_count : node->child_count;
        for (size_t j = 0; j < degree && (depth < 0 || reached[i].depth < depth); j++) {
            size_t edge = up ? node->parents[j] : node->children[j];
            size_t next = up ? network->edges[edge].parent : network->edges[edge].child;
            if (seen[next] || !follows(&network->edges[edge], edges))
                continue;
            seen[next] = true;
            reached[end++] = (struct visit){next, reached[i].depth + 1, edge};
        }
    }
    *visits = reached;
    *count = end;
}

void network_line(const struct network *network, size_t node, struct arena *arena, size_t **line,
                  size_t *count)
{
    size_t length = 0;
    for (size_t at = node; at != NETWORK_NONE; at = network_primary_parent(network, at))
        length++;
    *line = arena_allocate(arena, size_multiply(length, sizeof **line));
    *count = length;
    for (size_t at = node; at != NETWORK_NONE; at = network_primary_parent(network, at))
        (*line)[--length] = at;
}

/* ---- common ancestors ---- */

void network_common_ancestors(const struct network *network, const size_t *nodes, size_t count,
                              enum edges edges, struct arena *arena, size_t **ancestors, size_t *found)
{
    size_t *shared = arena_allocate(arena, size_multiply(network->node_count, sizeof *shared));
    bool *passed = arena_allocate(arena, network->node_count);
    for (size_t i = 0; i < count; i++) {
        struct visit *visits;
        size_t visit_count;
        network_reach(network, nodes[i], TO_ANCESTORS, edges, -1, arena, &visits, &visit_count);
        for (size_t j = 0; j < visit_count; j++)
            shared[visits[j].node]++;
    }
    *ancestors = arena_allocate(arena, size_multiply(network->node_count, sizeof **ancestors));
    *found = 0;
    /* Children first: a common ancestor that was not passed on the way up from another is among the most
     * recent. */
    for (size_t i = network->node_count; i-- > 0;) {
        size_t node = network->order[i];
        if (shared[node] < count)
            continue;
        if (!passed[node])
            (*ancestors)[(*found)++] = node;
        const struct network_node *described = &network->nodes[node];
        for (size_t j = 0; j < described->parent_count; j++)
            if (follows(&network->edges[described->parents[j]], edges))
                passed[network->edges[described->parents[j]].parent] = true;
    }
}

/* ---- paths ---- */

/* The way by which a search came to `node`, as steps from the start or, reversed, towards it. */
static size_t trace(const struct network *network, const struct visit *by_node, size_t node,
                    struct path_step *steps, bool up)
{
    size_t length = (size_t)by_node[node].depth;
    for (size_t i = length; i-- > 0;) {
        size_t edge = by_node[node].edge;
        steps[up ? i : length - 1 - i] = (struct path_step){edge, up};
        node = network->edges[edge].child;
    }
    return length;
}

static struct visit *index_visits(const struct network *network, size_t start, enum edges edges,
                                  struct arena *arena)
{
    struct visit *visits,
        *by_node = arena_allocate(arena, size_multiply(network->node_count, sizeof *by_node));
    size_t count;
    for (size_t i = 0; i < network->node_count; i++)
        by_node[i].depth = -1;
    network_reach(network, start, TO_ANCESTORS, edges, -1, arena, &visits, &count);
    for (size_t i = 0; i < count; i++)
        by_node[visits[i].node] = visits[i];
    return by_node;
}

bool network_path(const struct network *network, size_t from, size_t to, struct arena *arena,
                  struct path *path)
{
    for (enum edges edges = EDGES_PRIMARY; edges <= EDGES_ALL; edges++) {
        const struct visit *up = index_visits(network, from, edges, arena);
        const struct visit *down = index_visits(network, to, edges, arena);
        size_t top = NETWORK_NONE;
        for (size_t i = 0; i < network->node_count; i++)
            if (up[i].depth >= 0 && down[i].depth >= 0 &&
                (top == NETWORK_NONE || up[i].depth + down[i].depth <= up[top].depth + down[top].depth))
                top = i; /* of equally short ways the one over the newest */
        if (top == NETWORK_NONE)
            continue;
        size_t length = (size_t)(up[top].depth + down[top].depth);
        *path = (struct path){.top = top,
                              .edges = edges,
                              .steps = arena_allocate(arena, size_multiply(length + 1, sizeof *path->steps))};
        path->count = trace(network, up, top, path->steps, true);
        path->count += trace(network, down, top, path->steps + path->count, false);
        return true;
    }
    return false;
}

/* ---- kernels ---- */

const char *const adoption_names[] = {"origin", "inherited", "borrowed", "distant", "frame", "untraced"};

/* A kernel being traced through the network. */
struct trail {
    const struct network *network;
    struct kernel_use *uses; /* by date, as nodes are numbered */
    size_t count;
    bool *used; /* by node */
    size_t origin;
    struct arena *arena;
};

static bool is_component(const struct network *network, size_t node)
{
    return network->nodes[node].kind && strcmp(network->nodes[node].kind, "component") == 0;
}

/* Whether a component is older than the kernel, which then is no part of what it was published with. */
static bool is_frame(const struct trail *trail, size_t node)
{
    const struct network_node *nodes = trail->network->nodes;
    return is_component(trail->network, node) &&
           date_compare(nodes[node].date, nodes[trail->origin].date) < 0;
}

static void collect_uses(struct trail *trail, const struct composition_row *rows, size_t row_count,
                         const char *kernel)
{
    for (size_t i = 0; i < row_count; i++) {
        const char *name = rows[i].kernel ? rows[i].kernel : rows[i].planned;
        size_t node =
            strcmp(name, kernel) == 0 ? network_find(trail->network, rows[i].variant) : NETWORK_NONE;
        if (node == NETWORK_NONE || trail->used[node])
            continue;
        size_t place = trail->count++;
        for (; place > 0 && trail->uses[place - 1].node > node; place--)
            trail->uses[place] = trail->uses[place - 1];
        trail->uses[place] =
            (struct kernel_use){.node = node, .slot = rows[i].slot, .planned = !rows[i].kernel};
        trail->used[node] = true;
    }
}

static size_t find_origin(const struct trail *trail, const char *origin)
{
    size_t declared = origin ? network_find(trail->network, origin) : NETWORK_NONE;
    if (declared != NETWORK_NONE && trail->used[declared])
        return declared;
    for (size_t i = 0; i < trail->count; i++)
        if (!is_component(trail->network, trail->uses[i].node))
            return trail->uses[i].node;
    return trail->count ? trail->uses[0].node : NETWORK_NONE;
}

static enum adoption adoption_by(const struct network *network, const struct visit *source)
{
    if (source->depth > 1)
        return ADOPTION_DISTANT;
    return network->edges[source->edge].primary ? ADOPTION_INHERITED : ADOPTION_BORROWED;
}

static void trace_use(const struct trail *trail, struct kernel_use *use)
{
    struct visit *visits;
    size_t count;
    use->from = NETWORK_NONE;
    use->adoption = use->node == trail->origin   ? ADOPTION_ORIGIN
                    : is_frame(trail, use->node) ? ADOPTION_FRAME
                                                 : ADOPTION_UNTRACED;
    if (use->adoption != ADOPTION_UNTRACED)
        return;
    network_reach(trail->network, use->node, TO_ANCESTORS, EDGES_ALL, -1, trail->arena, &visits, &count);
    for (size_t i = 1; i < count; i++) {
        if (!trail->used[visits[i].node] || is_frame(trail, visits[i].node))
            continue;
        use->from = visits[i].node;
        use->adoption = adoption_by(trail->network, &visits[i]);
        return;
    }
}

void network_kernel_uses(const struct network *network, const struct composition_row *rows, size_t row_count,
                         const char *kernel, const char *origin, struct arena *arena,
                         struct kernel_use **uses, size_t *count)
{
    struct trail trail = {
        .network = network,
        .uses = arena_allocate(arena, size_multiply(network->node_count, sizeof *trail.uses)),
        .used = arena_allocate(arena, network->node_count),
        .arena = arena,
    };
    collect_uses(&trail, rows, row_count, kernel);
    trail.origin = find_origin(&trail, origin);
    for (size_t i = 0; i < trail.count; i++)
        trace_use(&trail, &trail.uses[i]);
    *uses = trail.uses;
    *count = trail.count;
}
