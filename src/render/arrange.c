/* arrange.c: columns of time, order of children, sizes of labels. */
#include "render/picture.h"
#include <stdlib.h>
#include <string.h>

enum {
    WIDEST_LABEL = 90, /* points; longer ones take a second line */
    WIDEST_LEAF = 240, /* where names stand at the end of branches */
    WIDEST_CHANGE = 120,
    HUB = 6, /* descendants that make a hub, in a picture of more than a handful */
};

/* ---- columns ---- */

/* A node without a year stands with its parents. */
static int year_of(const struct picture *picture, size_t node, int *years)
{
    return picture->nodes[node].year ? picture->nodes[node].year : years[node];
}

/* Within its year a node stands right of those parents that are of the same year: its place is the length of
 * the longest such chain. Edges need no order for that: the passes end when nothing moves, and a circle among
 * nodes of one year, which no catalogue has, ends them too. */
static void place_in_years(const struct picture *picture, int *years, size_t *places)
{
    bool moved = true;
    for (size_t pass = 0; moved && pass <= picture->node_count; pass++) {
        moved = false;
        for (size_t i = 0; i < picture->edge_count; i++) {
            size_t parent = picture->edges[i].parent, child = picture->edges[i].child;
            int year = year_of(picture, parent, years);
            if (!picture->nodes[child].year && years[child] < year) {
                years[child] = year;
                moved = true;
            }
            if (year_of(picture, child, years) == year && places[child] <= places[parent]) {
                places[child] = places[parent] + 1;
                moved = true;
            }
        }
    }
}

struct column {
    int year;
    size_t place;
};

static int compare_columns(const void *a, const void *b)
{
    const struct column *x = a, *y = b;
    if (x->year != y->year)
        return x->year < y->year ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

static void assign_columns(struct picture *picture, struct arena *arena)
{
    size_t count = picture->node_count;
    int *years = arena_allocate(arena, (count + 1) * sizeof *years);
    size_t *places = arena_allocate(arena, (count + 1) * sizeof *places);
    struct column *columns = arena_allocate(arena, (count + 1) * sizeof *columns);
    place_in_years(picture, years, places);
    for (size_t i = 0; i < count; i++)
        columns[i] = (struct column){year_of(picture, i, years), places[i]};
    qsort(columns, count, sizeof *columns, compare_columns);
    picture->column_count = 0;
    for (size_t i = 0; i < count; i++)
        if (i == 0 || compare_columns(&columns[i], &columns[i - 1]) != 0)
            columns[picture->column_count++] = columns[i];
    picture->column_years = arena_allocate(arena, (count + 1) * sizeof *picture->column_years);
    for (size_t i = 0; i < picture->column_count; i++)
        picture->column_years[i] = columns[i].year;
    for (size_t i = 0; i < count; i++) {
        struct column own = {year_of(picture, i, years), places[i]};
        const struct column *found =
            bsearch(&own, columns, picture->column_count, sizeof own, compare_columns);
        picture->nodes[i].column = (size_t)(found - columns);
    }
}

/* ---- order ---- */

struct walk {
    const struct picture *picture;
    size_t *first, *next; /* primary edges of a parent as a list */
    size_t *leading;      /* the category that most of a node's descendants and itself have */
};

/* Children of one category stand together, in the order of the legend; then those that came first. */
static int compare_children(const void *a, const void *b, void *context)
{
    const struct walk *walk = context;
    const struct picture_edge *edges = walk->picture->edges;
    size_t i = *(const size_t *)a, j = *(const size_t *)b, x = edges[i].child, y = edges[j].child;
    if (walk->leading[x] != walk->leading[y])
        return walk->leading[x] < walk->leading[y] ? -1 : 1;
    const struct picture_node *nodes = walk->picture->nodes;
    if (nodes[x].column != nodes[y].column)
        return nodes[x].column < nodes[y].column ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* The nodes in an order in which parents precede their children. Returns their number. */
static size_t order_nodes(const struct walk *walk, size_t *order)
{
    const struct picture *picture = walk->picture;
    size_t count = 0, done = 0;
    for (size_t i = 0; i < picture->node_count; i++)
        if (picture->nodes[i].parent == PICTURE_NONE)
            order[count++] = i;
    for (; done < count; done++)
        for (size_t e = walk->first[order[done]]; e != PICTURE_NONE; e = walk->next[e])
            order[count++] = picture->edges[e].child;
    return count;
}

/* Counts what descends from each node, and in which categories. */
static void count_descendants(struct walk *walk, struct picture *picture, struct arena *arena)
{
    size_t kinds = picture->category_count;
    size_t *order = arena_allocate(arena, (picture->node_count + 1) * sizeof *order);
    unsigned *counts = arena_allocate(arena, size_multiply(picture->node_count * kinds + 1, sizeof *counts));
    size_t ordered = order_nodes(walk, order);
    for (size_t i = ordered; i-- > 0;) {
        size_t n = order[i];
        struct picture_node *node = &picture->nodes[n];
        unsigned *own = counts + n * kinds;
        if (node->category < kinds)
            own[node->category]++;
        walk->leading[n] = node->category;
        for (size_t k = 0; k < kinds; k++)
            if (walk->leading[n] >= kinds || own[k] > own[walk->leading[n]])
                walk->leading[n] = own[k] ? k : walk->leading[n];
        if (node->parent == PICTURE_NONE)
            continue;
        size_t above = picture->edges[node->parent].parent;
        picture->nodes[above].descendants += node->descendants + 1;
        for (size_t k = 0; k < kinds; k++)
            counts[above * kinds + k] += own[k];
    }
}

/* Appends the primary edges below `node`, depth first. */
static void walk_down(struct walk *walk, size_t root, struct picture_edge *sorted, size_t *count,
                      struct arena *arena)
{
    const struct picture *picture = walk->picture;
    size_t *stack = NULL, depth = 0; /* edges to follow, the next one on top */
    size_t node = root;
    for (;;) {
        size_t *children = NULL, child_count = 0;
        for (size_t e = walk->first[node]; e != PICTURE_NONE; e = walk->next[e]) {
            children = arena_extend(arena, children, child_count, sizeof *children);
            children[child_count++] = e;
        }
        if (child_count)
            qsort_r(children, child_count, sizeof *children, compare_children, walk);
        for (size_t i = child_count; i-- > 0;) {
            stack = arena_extend(arena, stack, depth, sizeof *stack);
            stack[depth++] = children[i];
        }
        if (depth == 0)
            return;
        size_t edge = stack[--depth];
        sorted[(*count)++] = picture->edges[edge];
        node = picture->edges[edge].child;
    }
}

static void find_parents(struct picture *picture)
{
    for (size_t i = 0; i < picture->node_count; i++)
        picture->nodes[i].parent = PICTURE_NONE;
    for (size_t i = 0; i < picture->edge_count; i++)
        if (picture->edges[i].primary)
            picture->nodes[picture->edges[i].child].parent = i;
}

static void sort_edges(struct picture *picture, struct arena *arena)
{
    struct walk walk = {.picture = picture};
    size_t count = 0, nodes = picture->node_count, edges = picture->edge_count;
    struct picture_edge *sorted = arena_allocate(arena, (edges + 1) * sizeof *sorted);
    walk.first = arena_allocate(arena, (nodes + 1) * sizeof *walk.first);
    walk.leading = arena_allocate(arena, (nodes + 1) * sizeof *walk.leading);
    walk.next = arena_allocate(arena, (edges + 1) * sizeof *walk.next);
    find_parents(picture);
    for (size_t i = 0; i < nodes; i++)
        walk.first[i] = PICTURE_NONE;
    for (size_t i = edges; i-- > 0;)
        if (picture->edges[i].primary) {
            walk.next[i] = walk.first[picture->edges[i].parent];
            walk.first[picture->edges[i].parent] = i;
        }
    count_descendants(&walk, picture, arena);
    for (size_t i = 0; i < nodes; i++)
        if (picture->nodes[i].parent == PICTURE_NONE)
            walk_down(&walk, i, sorted, &count, arena);
    picture->primary_count = count;
    for (size_t i = 0; i < edges; i++)
        if (!picture->edges[i].primary)
            sorted[count++] = picture->edges[i];
    picture->edges = sorted;
    picture->edge_count = count;
    find_parents(picture);
}

/* ---- sizes ---- */

/* Names from which much descends are read from afar. */
static double label_size(const struct picture_node *node)
{
    double size = PICTURE_TEXT;
    for (size_t descendants = HUB; node->hub && descendants <= node->descendants; descendants *= 2)
        size += 0.8;
    return size;
}

static void measure(struct picture *picture, struct arena *arena)
{
    for (size_t i = 0; i < picture->node_count; i++) {
        struct picture_node *node = &picture->nodes[i];
        node->hub =
            node->label && picture->timeline && node->descendants >= HUB && picture->node_count > 3 * HUB;
        if (!node->label) {
            node->width = node->height = 4;
            continue;
        }
        node->text = label_size(node);
        double widest = (picture->timeline ? WIDEST_LABEL : WIDEST_LEAF) * node->text / PICTURE_TEXT;
        node->lines = metric_wrap(node->label, node->text, node->hub, widest, arena);
        node->width = node->lines.width + 2.35 * node->text; /* the marker, and space at both ends */
        node->height = (double)node->lines.count * PICTURE_LINE * node->text + 0.5 * node->text;
    }
    for (size_t i = 0; i < picture->edge_count; i++) {
        struct picture_edge *edge = &picture->edges[i];
        if (!edge->label)
            continue;
        edge->lines = metric_wrap(edge->label, PICTURE_LABEL, false, WIDEST_CHANGE, arena);
        edge->width = edge->lines.width + 8;
        edge->height = (double)edge->lines.count * PICTURE_LINE * PICTURE_LABEL + 6;
    }
}

void picture_arrange(struct picture *picture, struct arena *arena)
{
    for (size_t i = 0; i < picture->category_count; i++)
        picture->categories[i].count = 0;
    for (size_t i = 0; i < picture->node_count; i++) {
        picture->nodes[i].descendants = 0;
        if (picture->nodes[i].label && picture->nodes[i].category < picture->category_count)
            picture->categories[picture->nodes[i].category].count++;
    }
    if (picture->timeline)
        assign_columns(picture, arena);
    sort_edges(picture, arena);
    measure(picture, arena);
}
