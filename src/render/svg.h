/* svg.h: a drawing as one SVG document: title and description for readers that do not see it, groups with
 * ids, titles and links in the order in which they were drawn, no script, dark paper where the viewer wishes
 * it. */
#ifndef CLADE_RENDER_SVG_H
#define CLADE_RENDER_SVG_H

#include "render/drawing.h"
#include <stdio.h>

/* Failures of the stream are for its owner to find. */
void svg_print(const struct drawing *drawing, FILE *stream);

#endif
