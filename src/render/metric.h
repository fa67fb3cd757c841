/* metric.h: widths of text, so that a picture is laid out without a font and comes out the same everywhere.
 *
 * The widths are those of Helvetica, which Arial, Nimbus Sans and Liberation Sans share. Sizes are points. */
#ifndef CLADE_RENDER_METRIC_H
#define CLADE_RENDER_METRIC_H

#include "base/memory.h"
#include <stdbool.h>
#include <stddef.h>

double metric_width(const char *text, double size, bool bold);

/* A text broken into lines. */
struct text_lines {
    const char **lines;
    size_t count;
    double width; /* of the widest line */
};

/* Breaks at spaces, and behind hyphens and slashes, so that no line is wider than `width` if its words allow;
 * a longer word keeps its line. */
struct text_lines metric_wrap(const char *text, double size, bool bold, double width, struct arena *arena);

#endif
