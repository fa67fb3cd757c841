/* plot.h: curves on logarithmic axes as SVG. */
#ifndef CLADE_BENCH_PLOT_H
#define CLADE_BENCH_PLOT_H

#include "base/text.h"

struct plot_point {
    double x, y;      /* both positive */
    double low, high; /* of an error bar in y; equal to y for none */
};

struct plot_series {
    const char *name;
    const struct plot_point *points; /* ascending in x */
    size_t count;
};

struct plot {
    const char *title, *x_name, *y_name; /* y_name says the unit: "seconds" */
    const struct plot_series *series;
    size_t count;
};

/* Appends an SVG document of 860 x 540. Series differ in colour, dash and marker, so that the plot is
 * readable in grey; each is named in a legend and in its tooltip. */
void plot_svg(const struct plot *plot, struct text *svg);

#endif
