/* branches.c: a tree drawn by the lengths of its branches. */
#include "render/layout.h"
#include <math.h>

enum {              /* points */
       DEPTH = 640, /* of the deepest leaf */
       SHORTEST = 5,
       ROW_GAP = 3,
       SUPPORT_GAP = 9,
};

static double known_length(const struct picture_edge *edge)
{
    return edge->length > 0 ? edge->length : 0;
}

/* How far each node is from its root; edges come parents first. */
static double measure_depths(const struct picture *picture, double *depths)
{
    double deepest = 0;
    for (size_t i = 0; i < picture->primary_count; i++) {
        const struct picture_edge *edge = &picture->edges[i];
        depths[edge->child] = depths[edge->parent] + known_length(edge);
        deepest = fmax(deepest, depths[edge->child]);
    }
    return deepest;
}

/* In points, and each branch so long at least that it can be seen. */
static void place_columns(const struct picture *picture, const double *depths, double deepest,
                          struct layout *layout)
{
    double scale = deepest > 0 ? DEPTH / deepest : 0;
    for (size_t i = 0; i < picture->primary_count; i++) {
        const struct picture_edge *edge = &picture->edges[i];
        layout->nodes[edge->child].x =
            fmax(depths[edge->child] * scale, layout->nodes[edge->parent].x + SHORTEST);
    }
}

/* The rows that a node's children take. */
struct extent {
    double low, high;
};

static void take_row(const struct picture *picture, struct layout *layout, size_t node)
{
    double height = picture->nodes[node].height;
    layout->nodes[node].y = layout->height + height / 2;
    layout->height += height + ROW_GAP;
}

/* Leaves take rows in the order of the edges; a node stands amid its children. */
static void place_rows(const struct picture *picture, struct layout *layout, struct arena *arena)
{
    struct extent *children = arena_allocate(arena, size_multiply(picture->node_count + 1, sizeof *children));
    for (size_t i = 0; i < picture->node_count; i++) {
        children[i] = (struct extent){INFINITY, -INFINITY};
        if (picture->nodes[i].parent == PICTURE_NONE && picture->nodes[i].descendants == 0)
            take_row(picture, layout, i);
    }
    for (size_t i = 0; i < picture->primary_count; i++)
        if (picture->nodes[picture->edges[i].child].descendants == 0)
            take_row(picture, layout, picture->edges[i].child);
    for (size_t i = picture->primary_count; i-- > 0;) { /* children before their parents */
        const struct picture_edge *edge = &picture->edges[i];
        struct point *child = &layout->nodes[edge->child];
        if (picture->nodes[edge->child].descendants)
            child->y = (children[edge->child].low + children[edge->child].high) / 2;
        children[edge->parent].low = fmin(children[edge->parent].low, child->y);
        children[edge->parent].high = fmax(children[edge->parent].high, child->y);
    }
    for (size_t i = 0; i < picture->node_count; i++)
        if (picture->nodes[i].parent == PICTURE_NONE && picture->nodes[i].descendants)
            layout->nodes[i].y = (children[i].low + children[i].high) / 2;
}

/* Up or down to the child's row, then to the child: two curves that are straight. */
static void draw_corner(struct point from, struct point to, struct layout_edge *edge, struct arena *arena)
{
    struct point corner = {from.x, to.y};
    const struct point points[] = {from, from, corner, corner, corner, to, to};
    edge->point_count = sizeof points / sizeof *points;
    edge->points = arena_allocate(arena, sizeof points);
    for (size_t i = 0; i < edge->point_count; i++)
        edge->points[i] = points[i];
}

/* Names stand right of their leaves; what is known of a branch, left of its end. */
void layout_branches(const struct picture *picture, struct arena *arena, struct layout *layout)
{
    double *depths = arena_allocate(arena, size_multiply(picture->node_count + 1, sizeof *depths));
    *layout = (struct layout){
        .nodes = arena_allocate(arena, size_multiply(picture->node_count + 1, sizeof *layout->nodes)),
        .edges = arena_allocate(arena, size_multiply(picture->edge_count + 1, sizeof *layout->edges))};
    place_columns(picture, depths, measure_depths(picture, depths), layout);
    place_rows(picture, layout, arena);
    for (size_t i = 0; i < picture->primary_count; i++) {
        const struct picture_edge *edge = &picture->edges[i];
        struct point end = layout->nodes[edge->child];
        draw_corner(layout->nodes[edge->parent], end, &layout->edges[i], arena);
        layout->edges[i].label = (struct point){end.x - SUPPORT_GAP, end.y - PICTURE_LABEL * 0.7};
    }
    for (size_t i = 0; i < picture->node_count; i++) {
        const struct picture_node *node = &picture->nodes[i];
        if (node->label)
            layout->nodes[i].x += node->width / 2;
        layout->width = fmax(layout->width, layout->nodes[i].x + node->width / 2);
    }
}
