/* marker.c: shapes that stand for categories where colour does not reach: in grey print, for many eyes. */
#include "render/scene.h"
#include <math.h>

enum { SHAPES = 8 };

/* Corners on a circle, `skip` of them at a time: 2 of 5 gives a star. */
static void polygon(struct drawing *drawing, double x, double y, double radius, int corners, double turn)
{
    for (int i = 0; i < corners; i++) {
        double angle = (turn + (double)i / corners) * 2 * M_PI;
        double px = x + radius * sin(angle), py = y - radius * cos(angle);
        if (i == 0)
            path_move(drawing, px, py);
        else
            path_line(drawing, px, py);
    }
    path_close(drawing);
}

static void star(struct drawing *drawing, double x, double y, double radius)
{
    for (int i = 0; i < 10; i++) {
        double angle = (double)i / 10 * 2 * M_PI, reach = i % 2 ? radius * 0.42 : radius;
        double px = x + reach * sin(angle), py = y - reach * cos(angle);
        if (i == 0)
            path_move(drawing, px, py);
        else
            path_line(drawing, px, py);
    }
    path_close(drawing);
}

static void plus(struct drawing *drawing, double x, double y, double radius)
{
    static const signed char corners[12][2] = {{-1, -3}, {1, -3}, {1, -1}, {3, -1}, {3, 1},   {1, 1},
                                               {1, 3},   {-1, 3}, {-1, 1}, {-3, 1}, {-3, -1}, {-1, -1}};
    for (int i = 0; i < 12; i++) {
        double px = x + radius * corners[i][0] / 3, py = y + radius * corners[i][1] / 3;
        if (i == 0)
            path_move(drawing, px, py);
        else
            path_line(drawing, px, py);
    }
    path_close(drawing);
}

void marker_draw(struct drawing *drawing, size_t category, uint32_t colour, double x, double y, double size)
{
    bool hollow = category / SHAPES % 2;
    struct paint paint = {PAINT_HUE, colour, 1};
    struct path_style style = {
        .fill = hollow ? (struct paint){PAINT_PAPER} : paint, .stroke = paint, .width = size / 6};
    double radius = size / 2 - style.width / 2;
    if (category % SHAPES == 0) {
        drawing_circle(drawing, style, x, y, radius);
        return;
    }
    drawing_path(drawing, style);
    switch (category % SHAPES) {
    case 1:
        polygon(drawing, x, y, radius * 1.15, 4, 0.125);
        break;
    case 2:
        polygon(drawing, x, y + radius * 0.15, radius * 1.15, 3, 0);
        break;
    case 3:
        polygon(drawing, x, y, radius * 1.1, 4, 0);
        break;
    case 4:
        polygon(drawing, x, y - radius * 0.15, radius * 1.15, 3, 0.5);
        break;
    case 5:
        polygon(drawing, x, y, radius * 1.05, 6, 0.25);
        break;
    case 6:
        plus(drawing, x, y, radius);
        break;
    default:
        star(drawing, x, y, radius * 1.15);
    }
}
