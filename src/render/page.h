/* page.h: a drawing as PNG or PDF, through cairo. */
#ifndef CLADE_RENDER_PAGE_H
#define CLADE_RENDER_PAGE_H

#include "base/error.h"
#include "render/drawing.h"
#include <stdio.h>

/* `scale` is pixels a point. Failures of the stream are for its owner to find; STATUS_OUTSIDE if the picture
 * is larger than cairo can hold. */
enum status page_print_png(const struct drawing *drawing, double scale, FILE *stream, struct error *error);

/* One page of the drawing's size; text stays text, links are live, and the file has no date, so that the same
 * drawing gives the same bytes. */
enum status page_print_pdf(const struct drawing *drawing, FILE *stream, struct error *error);

#endif
