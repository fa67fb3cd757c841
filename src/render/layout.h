/* layout.h: where Graphviz puts the nodes and edges of a picture. */
#ifndef CLADE_RENDER_LAYOUT_H
#define CLADE_RENDER_LAYOUT_H

#include "base/error.h"
#include "render/drawing.h"
#include "render/picture.h"

struct layout_edge {
    struct point *points; /* 3n + 1 of a curve in n pieces, from the parent to the child */
    size_t point_count;   /* 0: the edge was not laid out */
    struct point label;   /* the middle of its label, if it has one */
};

struct layout {
    double width, height; /* points; y grows downwards from 0 */
    struct point *nodes;  /* their middles */
    struct layout_edge *edges;
};

/* Lays out an arranged picture. Graphviz can take minutes or fail on a large graph, so it works in a child
 * process: STATUS_OUTSIDE if that needs more than `seconds` of processor time or ends otherwise than well. */
enum status layout_picture(const struct picture *picture, unsigned seconds, struct arena *arena,
                           struct layout *layout, struct error *error);

/* Places the nodes of a tree that is no timeline, without Graphviz: leaves below one another, branches as
 * long as they are, corners where they part. */
void layout_branches(const struct picture *picture, struct arena *arena, struct layout *layout);

#endif
