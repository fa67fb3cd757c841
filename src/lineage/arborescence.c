/* arborescence.c: every node takes the heaviest edge that leads to it; where that closes a circle, the circle
 * becomes one node, whose edges weigh what they gain over the edges that they would replace, and so on. At
 * the end circles are opened in the reverse order, each at the node where its own edge comes in.
 *
 * A root above all makes the forest a tree: its edges weigh so little that each is used only where a part of
 * the graph has no other way in. The edges into a node wait in a skew heap, in which a constant is added to
 * all by adding it at the top. */
#include "lineage/arborescence.h"
#include "base/error.h"
#include "base/memory.h"
#include <stdbool.h>
#include <stdlib.h>

enum { NO_NODE = UINT32_MAX };

struct heap_node {
    double weight, pending; /* pending: to be added to the weights of all nodes below */
    uint32_t left, right;
};

struct search {
    size_t node_count; /* without the root above all, which is the last */
    const struct weighted_edge *edges;
    size_t edge_count;
    struct heap_node *heap; /* one an edge; then one a node, for the edges from the root above all */
    uint32_t *top;          /* of the heap of each node or circle */
    uint32_t *leader;       /* union by size, without shortening of paths, so that it can be undone */
    uint32_t *size;
    uint32_t *joined; /* leaders that were joined to others, in order */
    size_t joined_count;
};

static uint32_t child_of(const struct search *search, uint32_t edge)
{
    return edge < search->edge_count ? search->edges[edge].child : edge - (uint32_t)search->edge_count;
}

static uint32_t parent_of(const struct search *search, uint32_t edge)
{
    return edge < search->edge_count ? search->edges[edge].parent : (uint32_t)search->node_count;
}

/* ---- heaps ---- */

static void push_down(struct search *search, uint32_t at)
{
    struct heap_node *node = &search->heap[at];
    if (node->pending == 0)
        return;
    uint32_t below[2] = {node->left, node->right};
    for (int i = 0; i < 2; i++)
        if (below[i] != NO_NODE) {
            search->heap[below[i]].weight += node->pending;
            search->heap[below[i]].pending += node->pending;
        }
    node->pending = 0;
}

static bool is_better(const struct search *search, uint32_t a, uint32_t b)
{
    double x = search->heap[a].weight, y = search->heap[b].weight;
    return x > y || (x == y && a < b);
}

/* Merges along the right sides of both, and turns each node on the way around. */
static uint32_t merge(struct search *search, uint32_t a, uint32_t b)
{
    uint32_t result = NO_NODE, *place = &result;
    while (a != NO_NODE && b != NO_NODE) {
        if (is_better(search, b, a)) {
            uint32_t other = a;
            a = b;
            b = other;
        }
        push_down(search, a);
        *place = a;
        uint32_t next = search->heap[a].right;
        search->heap[a].right = search->heap[a].left;
        place = &search->heap[a].left;
        a = next;
    }
    *place = a != NO_NODE ? a : b;
    return result;
}

static void add_to_all(struct search *search, uint32_t top, double amount)
{
    if (top == NO_NODE)
        return;
    search->heap[top].weight += amount;
    search->heap[top].pending += amount;
}

static uint32_t pop(struct search *search, uint32_t node)
{
    uint32_t best = search->top[node];
    push_down(search, best);
    search->top[node] = merge(search, search->heap[best].left, search->heap[best].right);
    return best;
}

/* ---- sets ---- */

static uint32_t find(const struct search *search, uint32_t node)
{
    while (search->leader[node] != node)
        node = search->leader[node];
    return node;
}

static bool join(struct search *search, uint32_t a, uint32_t b)
{
    a = find(search, a);
    b = find(search, b);
    if (a == b)
        return false;
    if (search->size[a] < search->size[b]) {
        uint32_t other = a;
        a = b;
        b = other;
    }
    search->leader[b] = a;
    search->size[a] += search->size[b];
    search->joined[search->joined_count++] = b;
    return true;
}

static void undo_joins(struct search *search, size_t count)
{
    while (search->joined_count > count) {
        uint32_t node = search->joined[--search->joined_count];
        search->size[search->leader[node]] -= search->size[node];
        search->leader[node] = node;
    }
}

/* ---- the search ---- */

struct circle {
    uint32_t node;        /* that stands for it */
    size_t joined;        /* joins before it was made */
    size_t first, length; /* its edges, in `circle_edges` */
};

struct trail {
    uint32_t *nodes, *edges; /* from the start backwards along the chosen edges */
    size_t length;
    uint32_t *visited; /* by which start; NO_NODE: not yet */
    uint32_t *incoming;
    struct circle *circles;
    size_t circle_count;
    uint32_t *circle_edges;
    size_t circle_edge_count;
};

/* The end of the trail has come back to `node`, which is on it: what lies between becomes one. */
static uint32_t contract(struct search *search, struct trail *trail, uint32_t node)
{
    struct circle *circle = &trail->circles[trail->circle_count++];
    uint32_t merged = NO_NODE;
    size_t end = trail->length;
    circle->joined = search->joined_count;
    bool more = true;
    while (more) {
        uint32_t member = trail->nodes[--trail->length];
        merged = merge(search, merged, search->top[member]);
        more = join(search, node, member);
    }
    circle->node = find(search, node);
    circle->first = trail->circle_edge_count;
    circle->length = end - trail->length;
    for (size_t i = trail->length; i < end; i++)
        trail->circle_edges[trail->circle_edge_count++] = trail->edges[i];
    search->top[circle->node] = merged;
    trail->visited[circle->node] = NO_NODE;
    return circle->node;
}

static void follow(struct search *search, struct trail *trail, uint32_t start)
{
    uint32_t node = find(search, start);
    trail->length = 0;
    while (trail->visited[node] == NO_NODE) {
        uint32_t edge = pop(search, node), before = find(search, parent_of(search, edge));
        if (before == node)
            continue; /* both ends are in one circle */
        add_to_all(search, search->top[node], -search->heap[edge].weight);
        trail->nodes[trail->length] = node;
        trail->edges[trail->length++] = edge;
        trail->visited[node] = start;
        node = trail->visited[before] == start ? contract(search, trail, before) : before;
    }
    for (size_t i = 0; i < trail->length; i++)
        trail->incoming[find(search, child_of(search, trail->edges[i]))] = trail->edges[i];
}

static void open_circles(struct search *search, struct trail *trail)
{
    for (size_t i = trail->circle_count; i-- > 0;) {
        const struct circle *circle = &trail->circles[i];
        uint32_t entering = trail->incoming[circle->node];
        undo_joins(search, circle->joined);
        for (size_t j = 0; j < circle->length; j++) {
            uint32_t edge = trail->circle_edges[circle->first + j];
            trail->incoming[find(search, child_of(search, edge))] = edge;
        }
        trail->incoming[find(search, child_of(search, entering))] = entering;
    }
}

/* An edge from the root above all costs more than all other edges can gain. */
static double root_weight(const struct search *search)
{
    double sum = 1;
    for (size_t i = 0; i < search->edge_count; i++)
        sum = search->edges[i].weight > sum ? search->edges[i].weight : sum;
    return -4 * sum * (double)(search->node_count + 1);
}

static void fill_heaps(struct search *search)
{
    double from_root = root_weight(search);
    for (size_t i = 0; i <= search->node_count; i++) {
        search->top[i] = NO_NODE;
        search->leader[i] = (uint32_t)i;
        search->size[i] = 1;
    }
    for (uint32_t i = 0; i < search->edge_count + search->node_count; i++) {
        bool given = i < search->edge_count;
        search->heap[i] =
            (struct heap_node){given ? search->edges[i].weight : from_root, 0, NO_NODE, NO_NODE};
        uint32_t child = child_of(search, i);
        if (parent_of(search, i) != child)
            search->top[child] = merge(search, search->top[child], i);
    }
}

void arborescence(size_t node_count, const struct weighted_edge *edges, size_t edge_count, size_t *chosen)
{
    size_t all = node_count + 1;
    if (all + edge_count >= NO_NODE)
        BUG("a graph of %zu nodes and %zu edges is too large", node_count, edge_count);
    struct search search = {node_count, edges, edge_count};
    search.heap = memory_allocate_zero(edge_count + all, sizeof *search.heap);
    search.top = memory_allocate_zero(all, sizeof *search.top);
    search.leader = memory_allocate_zero(all, sizeof *search.leader);
    search.size = memory_allocate_zero(all, sizeof *search.size);
    search.joined = memory_allocate_zero(all, sizeof *search.joined);
    struct trail trail = {
        .nodes = memory_allocate_zero(all, sizeof(uint32_t)),
        .edges = memory_allocate_zero(all, sizeof(uint32_t)),
        .visited = memory_allocate_zero(all, sizeof(uint32_t)),
        .incoming = memory_allocate_zero(all, sizeof(uint32_t)),
        .circles = memory_allocate_zero(all, sizeof(struct circle)),
        .circle_edges = memory_allocate_zero(2 * all, sizeof(uint32_t)),
    };
    fill_heaps(&search);
    for (size_t i = 0; i < node_count; i++)
        trail.visited[i] = NO_NODE;
    trail.visited[node_count] = (uint32_t)node_count;
    for (size_t i = 0; i < node_count; i++)
        follow(&search, &trail, (uint32_t)i);
    open_circles(&search, &trail);
    for (size_t i = 0; i < node_count; i++)
        chosen[i] = trail.incoming[i] < edge_count ? trail.incoming[i] : ARBORESCENCE_ROOT;
    void *const storage[] = {search.heap,    search.top,    search.leader,     search.size,
                             search.joined,  trail.nodes,   trail.edges,       trail.visited,
                             trail.incoming, trail.circles, trail.circle_edges};
    for (size_t i = 0; i < sizeof storage / sizeof *storage; i++)
        free(storage[i]);
}
