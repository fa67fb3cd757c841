/* legend.c: what shapes, colours and lines of a picture mean. */
#include "render/scene.h"

#define ROW 1.55 /* height of a row in sizes of its text */

/* How a line looks and what it says. */
struct sample {
    double width, dash;
    bool shown, bold;
    const char *text;
};

enum { SAMPLES = 4 };

static size_t choose_samples(const struct picture *picture, struct sample samples[SAMPLES])
{
    bool doubtful = false, hub = false;
    for (size_t i = 0; i < picture->edge_count; i++)
        doubtful = doubtful || picture->edges[i].doubtful;
    for (size_t i = 0; i < picture->node_count; i++)
        hub = hub || picture->nodes[i].hub;
    bool time = picture->timeline;
    const struct sample all[SAMPLES] = {
        {1.6, 0, picture->primary_count > 0 && time, false, "descends from (thicker: more descend from it)"},
        {1.6, 1.6, doubtful && time, false, "descends from, in doubt"},
        {0.8, 4, picture->edge_count > picture->primary_count, false, "borrows from"},
        {0, 0, hub, true, "at least six descendants"},
    };
    size_t count = 0;
    for (size_t i = 0; i < SAMPLES; i++)
        if (all[i].shown)
            samples[count++] = all[i];
    return count;
}

static size_t shown_categories(const struct picture *picture)
{
    size_t count = 0;
    for (size_t i = 0; i < picture->category_count; i++)
        count += picture->categories[i].count > 0;
    return count;
}

static double widest_text(const struct picture *picture, double size)
{
    struct sample samples[SAMPLES];
    size_t count = choose_samples(picture, samples);
    double widest = 0;
    for (size_t i = 0; i < count; i++) {
        double width = metric_width(samples[i].text, size, samples[i].bold);
        widest = width > widest ? width : widest;
    }
    for (size_t i = 0; i < picture->category_count; i++) {
        double width = metric_width(picture->categories[i].name, size, false) + 3 * size;
        if (picture->categories[i].count && width > widest)
            widest = width;
    }
    return widest;
}

static size_t rows_of(const struct picture *picture, size_t columns)
{
    struct sample samples[SAMPLES];
    size_t entries = shown_categories(picture) + choose_samples(picture, samples);
    return (entries + columns - 1) / columns;
}

struct legend legend_measure(const struct picture *picture, double text, size_t columns)
{
    struct legend legend = {.text = text};
    legend.width = (double)columns * (widest_text(picture, text) + 4.5 * text);
    legend.height = ((double)rows_of(picture, columns) + 1.2) * ROW * text;
    return legend;
}

struct cursor {
    double x, y, left, top, column_width, row_height;
    size_t row, rows;
};

static void step(struct cursor *cursor)
{
    cursor->y += cursor->row_height;
    if (++cursor->row < cursor->rows)
        return;
    cursor->row = 0;
    cursor->y = cursor->top;
    cursor->x += cursor->column_width;
}

static void draw_category(const struct picture *picture, size_t index, double text, const struct cursor *at,
                          struct drawing *drawing)
{
    const struct picture_category *category = &picture->categories[index];
    struct text_style style = {.paint = {PAINT_INK}, .size = text};
    marker_draw(drawing, index, category->colour, at->x + 1.2 * text, at->y, text);
    drawing_text(drawing, style, at->x + 3 * text, at->y + text * 0.36, category->name);
    style.paint.role = PAINT_FAINT;
    drawing_text(drawing, style, at->x + (3.5 * text) + metric_width(category->name, text, false),
                 at->y + text * 0.36, arena_format(drawing->arena, "%zu", category->count));
}

static void draw_sample(const struct sample *sample, double text, const struct cursor *at,
                        struct drawing *drawing)
{
    struct path_style line = {.stroke = {PAINT_INK}, .width = sample->width, .dash = sample->dash};
    struct text_style style = {.paint = {PAINT_INK}, .size = text, .bold = sample->bold};
    if (sample->width > 0)
        drawing_line(drawing, line, at->x, at->y, at->x + 2.4 * text, at->y);
    else
        drawing_text(drawing, style, at->x + 0.3 * text, at->y + text * 0.36, "Abc");
    style.bold = false;
    drawing_text(drawing, style, at->x + 3 * text, at->y + text * 0.36, sample->text);
}

void legend_draw(const struct picture *picture, const struct legend *legend, size_t columns,
                 struct point corner, struct drawing *drawing)
{
    struct sample samples[SAMPLES];
    size_t sample_count = choose_samples(picture, samples);
    double text = legend->text;
    struct cursor at = {.x = corner.x,
                        .y = corner.y + 1.7 * ROW * text,
                        .left = corner.x,
                        .top = corner.y + 1.7 * ROW * text,
                        .column_width = legend->width / (double)columns,
                        .row_height = ROW * text,
                        .rows = rows_of(picture, columns)};
    drawing_group(drawing, (struct drawing_group){.id = "legend"});
    if (shown_categories(picture))
        drawing_text(drawing, (struct text_style){.paint = {PAINT_INK}, .size = text * 1.1, .bold = true},
                     corner.x, corner.y + text, picture->category_title);
    for (size_t i = 0; i < picture->category_count; i++)
        if (picture->categories[i].count) {
            draw_category(picture, i, text, &at, drawing);
            step(&at);
        }
    for (size_t i = 0; i < sample_count; i++) {
        draw_sample(&samples[i], text, &at, drawing);
        step(&at);
    }
    drawing_group_end(drawing);
}
