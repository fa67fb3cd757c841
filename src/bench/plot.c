#include "bench/plot.h"
#include <math.h>
#include <string.h>

enum { WIDTH = 860, HEIGHT = 540, LEFT = 80, RIGHT = 210, TOP = 50, BOTTOM = 60 };

/* Paul Tol's bright and muted colours, dark enough on white. */
static const char *const colours[] = {"#4477aa", "#cc3311", "#228833", "#aa3377",
                                      "#997700", "#009988", "#555555", "#332288"};
static const char *const dashes[] = {"none", "7 3", "2 3", "9 3 2 3"};

struct axes {
    double low_x, high_x, low_y, high_y; /* logarithms to base 10 */
};

static double place_x(const struct axes *axes, double x)
{
    return LEFT + (log10(x) - axes->low_x) / (axes->high_x - axes->low_x) * (WIDTH - LEFT - RIGHT);
}

static double place_y(const struct axes *axes, double y)
{
    return HEIGHT - BOTTOM -
           (log10(y) - axes->low_y) / (axes->high_y - axes->low_y) * (HEIGHT - TOP - BOTTOM);
}

static struct axes axes_of(const struct plot *plot)
{
    struct axes axes = {INFINITY, -INFINITY, INFINITY, -INFINITY};
    for (size_t i = 0; i < plot->count; i++)
        for (size_t j = 0; j < plot->series[i].count; j++) {
            const struct plot_point *point = &plot->series[i].points[j];
            axes.low_x = fmin(axes.low_x, log10(point->x));
            axes.high_x = fmax(axes.high_x, log10(point->x));
            axes.low_y = fmin(axes.low_y, log10(point->low > 0 ? point->low : point->y));
            axes.high_y = fmax(axes.high_y, log10(point->high));
        }
    if (!(axes.low_x <= axes.high_x))
        axes = (struct axes){0, 1, 0, 1};
    double room_x = 0.04 * (axes.high_x - axes.low_x) + 0.02,
           room_y = 0.05 * (axes.high_y - axes.low_y) + 0.02;
    axes.low_x -= room_x;
    axes.high_x += room_x;
    axes.low_y -= room_y;
    axes.high_y += room_y;
    return axes;
}

static void append_escaped(struct text *svg, const char *string)
{
    for (; *string; string++)
        switch (*string) {
        case '<':
            text_append(svg, "&lt;");
            break;
        case '>':
            text_append(svg, "&gt;");
            break;
        case '&':
            text_append(svg, "&amp;");
            break;
        case '"':
            text_append(svg, "&quot;");
            break;
        default:
            if ((unsigned char)*string >= 0x20)
                text_append_bytes(svg, string, 1);
        }
}

/* "3 ms", "20 µs", "4 s" */
static void append_seconds(struct text *svg, double seconds)
{
    static const struct {
        double unit;
        const char *name;
    } units[] = {{1, "s"}, {1e-3, "ms"}, {1e-6, "µs"}, {1e-9, "ns"}};
    int i = 0;
    while (i < 3 && seconds < 0.9999 * units[i].unit)
        i++;
    text_format(svg, "%.3g %s", seconds / units[i].unit, units[i].name);
}

static void append_x_axis(const struct plot *plot, const struct axes *axes, struct text *svg)
{
    double last = -1e9;
    for (int power = 0; power < 40; power++) { /* lengths are powers of two, mostly */
        double x = ldexp(1, power), at = place_x(axes, x);
        if (at < LEFT || at > WIDTH - RIGHT || at - last < 34)
            continue;
        last = at;
        text_format(svg, "<line class=\"grid\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>", at, TOP, at,
                    HEIGHT - BOTTOM);
        text_format(svg,
                    x >= 1024 ? "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%gk</text>\n"
                              : "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n",
                    at, HEIGHT - BOTTOM + 18, x >= 1024 ? x / 1024 : x);
    }
    text_format(svg, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">", LEFT + (WIDTH - LEFT - RIGHT) / 2,
                HEIGHT - 18);
    append_escaped(svg, plot->x_name);
    text_append(svg, "</text>\n");
}

static void append_y_axis(const struct plot *plot, const struct axes *axes, struct text *svg)
{
    bool wide = axes->high_y - axes->low_y > 2.5;
    for (int power = -10; power < 8; power++)
        for (int digit = 1; digit < 10; digit += digit == 1 ? 1 : digit == 2 ? 3 : 5) { /* 1, 2, 5 */
            double y = digit * pow(10, power), at = place_y(axes, y);
            if (at < TOP || at > HEIGHT - BOTTOM || (wide && digit != 1))
                continue;
            text_format(svg, "<line class=\"grid\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>", LEFT, at,
                        WIDTH - RIGHT, at);
            text_format(svg, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">", LEFT - 8, at + 4);
            append_seconds(svg, y);
            text_append(svg, "</text>\n");
        }
    text_format(svg, "<text transform=\"translate(18 %d) rotate(-90)\" text-anchor=\"middle\">",
                TOP + (HEIGHT - TOP - BOTTOM) / 2);
    append_escaped(svg, plot->y_name);
    text_append(svg, "</text>\n");
}

static void append_marker(struct text *svg, size_t shape, double x, double y)
{
    switch (shape % 4) {
    case 0:
        text_format(svg, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>", x, y);
        break;
    case 1:
        text_format(svg, "<rect x=\"%.1f\" y=\"%.1f\" width=\"8\" height=\"8\"/>", x - 4, y - 4);
        break;
    case 2:
        text_format(svg, "<path d=\"M%.1f %.1fl5 9h-10z\"/>", x, y - 5);
        break;
    default:
        text_format(svg, "<path d=\"M%.1f %.1fl5 5l-5 5l-5 -5z\"/>", x, y - 5);
    }
}

static void append_series(const struct plot_series *series, size_t number, const struct axes *axes,
                          struct text *svg)
{
    const char *colour = colours[number % (sizeof colours / sizeof *colours)];
    text_format(svg, "<g fill=\"%s\" stroke=\"%s\"><title>", colour, colour);
    append_escaped(svg, series->name);
    text_format(svg, "</title><polyline fill=\"none\" stroke-width=\"2\" stroke-dasharray=\"%s\" points=\"",
                dashes[number % (sizeof dashes / sizeof *dashes)]);
    for (size_t i = 0; i < series->count; i++)
        text_format(svg, "%.1f,%.1f ", place_x(axes, series->points[i].x),
                    place_y(axes, series->points[i].y));
    text_append(svg, "\"/>");
    for (size_t i = 0; i < series->count; i++) {
        const struct plot_point *point = &series->points[i];
        double x = place_x(axes, point->x);
        if (point->high > point->low)
            text_format(svg, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", x,
                        place_y(axes, point->low), x, place_y(axes, point->high));
        append_marker(svg, number, x, place_y(axes, point->y));
    }
    double at = TOP + 14 + 22 * (double)number;
    text_format(
        svg, "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke-width=\"2\" stroke-dasharray=\"%s\"/>",
        WIDTH - RIGHT + 14, at, WIDTH - RIGHT + 46, at, dashes[number % (sizeof dashes / sizeof *dashes)]);
    append_marker(svg, number, WIDTH - RIGHT + 30, at);
    text_format(svg, "<text class=\"name\" x=\"%d\" y=\"%.1f\">", WIDTH - RIGHT + 54, at + 4);
    append_escaped(svg, series->name);
    text_append(svg, "</text></g>\n");
}

void plot_svg(const struct plot *plot, struct text *svg)
{
    struct axes axes = axes_of(plot);
    text_format(svg,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
                "role=\"img\" "
                "aria-labelledby=\"title\" font-family=\"DejaVu Sans, sans-serif\" font-size=\"12\">\n"
                "<title id=\"title\">",
                WIDTH, HEIGHT, WIDTH, HEIGHT);
    append_escaped(svg, plot->title);
    text_format(svg,
                "</title>\n<style>.grid{stroke:#ddd}.name,text{fill:#222;stroke:none}</style>\n"
                "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n<text x=\"%d\" y=\"28\" font-size=\"15\">",
                WIDTH, HEIGHT, LEFT);
    append_escaped(svg, plot->title);
    text_append(svg, "</text>\n");
    append_x_axis(plot, &axes, svg);
    append_y_axis(plot, &axes, svg);
    text_format(svg, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#222\"/>\n",
                LEFT, TOP, WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    for (size_t i = 0; i < plot->count; i++)
        append_series(&plot->series[i], i, &axes, svg);
    text_append(svg, "</svg>\n");
}
