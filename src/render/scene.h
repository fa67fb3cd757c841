/* scene.h: a picture with its places as a drawing: title, axis of years, edges, nodes, legend. */
#ifndef CLADE_RENDER_SCENE_H
#define CLADE_RENDER_SCENE_H

#include "render/drawing.h"
#include "render/layout.h"
#include "render/picture.h"

void scene_draw(const struct picture *picture, const struct layout *layout, struct arena *arena,
                struct drawing *drawing);

/* ---- parts, for scene.c ---- */

/* What tells categories apart without colour: one of sixteen shapes, `size` wide. */
void marker_draw(struct drawing *drawing, size_t category, uint32_t colour, double x, double y, double size);

struct legend {
    double text; /* size of its text */
    double width, height;
};
struct legend legend_measure(const struct picture *picture, double text, size_t columns);
void legend_draw(const struct picture *picture, const struct legend *legend, size_t columns,
                 struct point corner, struct drawing *drawing);

#endif
