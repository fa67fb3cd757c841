#include "render/drawing.h"
#include "render/metric.h"

uint32_t paint_rgb(struct paint paint)
{
    static const uint32_t roles[] = {
        [PAINT_NONE] = 0,        [PAINT_PAPER] = 0xffffff, [PAINT_BAND] = 0xf4f5f7,
        [PAINT_RULE] = 0xd5d8dd, [PAINT_FAINT] = 0x5f6670, [PAINT_INK] = 0x16181c,
    };
    return paint.role == PAINT_HUE ? paint.hue : roles[paint.role];
}

void drawing_init(struct drawing *drawing, struct arena *arena)
{
    *drawing = (struct drawing){.arena = arena};
}

static struct drawing_item *add_item(struct drawing *drawing, enum drawing_item_type type)
{
    drawing->items =
        arena_extend(drawing->arena, drawing->items, drawing->item_count, sizeof *drawing->items);
    struct drawing_item *item = &drawing->items[drawing->item_count++];
    *item = (struct drawing_item){.type = type};
    return item;
}

void drawing_group(struct drawing *drawing, struct drawing_group group)
{
    add_item(drawing, DRAWING_GROUP)->group = group;
}

void drawing_group_end(struct drawing *drawing)
{
    add_item(drawing, DRAWING_GROUP_END);
}

void drawing_text(struct drawing *drawing, struct text_style style, double x, double y, const char *text)
{
    struct drawing_item *item = add_item(drawing, DRAWING_TEXT);
    item->text.style = style;
    item->text.at = (struct point){x, y};
    item->text.text = text;
    item->text.width = metric_width(text, style.size, style.bold);
}

void drawing_path(struct drawing *drawing, struct path_style style)
{
    struct drawing_item *item = add_item(drawing, DRAWING_PATH);
    item->path.style = style;
    item->path.verb = drawing->verb_count;
    item->path.point = drawing->point_count;
}

static void add_point(struct drawing *drawing, struct point point)
{
    drawing->points =
        arena_extend(drawing->arena, drawing->points, drawing->point_count, sizeof *drawing->points);
    drawing->points[drawing->point_count++] = point;
}

static void add_verb(struct drawing *drawing, enum path_verb verb)
{
    drawing->verbs =
        arena_extend(drawing->arena, drawing->verbs, drawing->verb_count, sizeof *drawing->verbs);
    drawing->verbs[drawing->verb_count++] = verb;
    drawing->items[drawing->item_count - 1].path.verb_count++;
}

void path_move(struct drawing *drawing, double x, double y)
{
    add_verb(drawing, PATH_MOVE);
    add_point(drawing, (struct point){x, y});
}

void path_line(struct drawing *drawing, double x, double y)
{
    add_verb(drawing, PATH_LINE);
    add_point(drawing, (struct point){x, y});
}

void path_curve(struct drawing *drawing, struct point a, struct point b, struct point end)
{
    add_verb(drawing, PATH_CURVE);
    add_point(drawing, a);
    add_point(drawing, b);
    add_point(drawing, end);
}

void path_close(struct drawing *drawing)
{
    add_verb(drawing, PATH_CLOSE);
}

/* How far the handles of a quarter of a circle reach, in radii. */
#define QUARTER 0.5523

void drawing_rectangle(struct drawing *drawing, struct path_style style, double x, double y, double width,
                       double height, double radius)
{
    double r = radius, handle = radius * (1 - QUARTER), right = x + width, bottom = y + height;
    drawing_path(drawing, style);
    path_move(drawing, x + r, y);
    path_line(drawing, right - r, y);
    if (r > 0)
        path_curve(drawing, (struct point){right - handle, y}, (struct point){right, y + handle},
                   (struct point){right, y + r});
    path_line(drawing, right, bottom - r);
    if (r > 0)
        path_curve(drawing, (struct point){right, bottom - handle}, (struct point){right - handle, bottom},
                   (struct point){right - r, bottom});
    path_line(drawing, x + r, bottom);
    if (r > 0)
        path_curve(drawing, (struct point){x + handle, bottom}, (struct point){x, bottom - handle},
                   (struct point){x, bottom - r});
    path_line(drawing, x, y + r);
    if (r > 0)
        path_curve(drawing, (struct point){x, y + handle}, (struct point){x + handle, y},
                   (struct point){x + r, y});
    path_close(drawing);
}

void drawing_line(struct drawing *drawing, struct path_style style, double x1, double y1, double x2,
                  double y2)
{
    drawing_path(drawing, style);
    path_move(drawing, x1, y1);
    path_line(drawing, x2, y2);
}

void drawing_circle(struct drawing *drawing, struct path_style style, double x, double y, double radius)
{
    drawing_rectangle(drawing, style, x - radius, y - radius, 2 * radius, 2 * radius, radius);
}
