#include "render/scene.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Sizes of the parts follow the picture's, so that a poster reads from the same distance as a detail does
 * from near. All in points. */
struct sizes {
    double margin, title, subtitle, year, legend;
};

struct scene {
    const struct picture *picture;
    const struct layout *layout;
    struct drawing *drawing;
    struct arena *arena;
    struct sizes sizes;
    double left, top; /* where the layout's corner lies */
    double axis;      /* height of the row of years, above and below */
    struct legend legend;
    size_t legend_columns;
    struct point legend_at;
};

static double clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

static struct sizes choose_sizes(double width)
{
    return (struct sizes){
        .margin = clamp(width / 60, 14, 48),
        .title = clamp(width / 70, 14, 44),
        .subtitle = clamp(width / 140, 9, 22),
        .year = clamp(width / 150, 9, 20),
        .legend = clamp(width / 190, 8, 16),
    };
}

static struct point place(const struct scene *scene, struct point point)
{
    return (struct point){scene->left + point.x, scene->top + point.y};
}

static struct point node_at(const struct scene *scene, size_t node)
{
    return place(scene, scene->layout->nodes[node]);
}

static uint32_t colour_of(const struct scene *scene, size_t node)
{
    size_t category = scene->picture->nodes[node].category;
    return category < scene->picture->category_count ? scene->picture->categories[category].colour : 0x777777;
}

/* ---- axis ---- */

/* Left and right end of a column's nodes. */
static void column_extent(const struct scene *scene, size_t column, double *low, double *high)
{
    *low = INFINITY;
    *high = -INFINITY;
    for (size_t i = 0; i < scene->picture->node_count; i++) {
        const struct picture_node *node = &scene->picture->nodes[i];
        double x = node_at(scene, i).x;
        if (node->column != column)
            continue;
        *low = fmin(*low, x - node->width / 2);
        *high = fmax(*high, x + node->width / 2);
    }
}

static void draw_year(const struct scene *scene, int year, bool shaded, double low, double high)
{
    double top = scene->top - scene->axis, bottom = scene->top + scene->layout->height + scene->axis;
    struct drawing *drawing = scene->drawing;
    if (shaded)
        drawing_rectangle(drawing, (struct path_style){.fill = {PAINT_BAND}}, low, top, high - low,
                          bottom - top, 0);
    const char *label = year ? arena_format(scene->arena, "%d", year) : "undated";
    struct text_style style = {
        .paint = {PAINT_FAINT}, .size = scene->sizes.year, .bold = true, .anchor = ANCHOR_MIDDLE};
    double fit = metric_width(label, style.size, true);
    if (fit > high - low)
        style.size *= (high - low) / fit;
    drawing_text(drawing, style, (low + high) / 2, top + scene->axis * 0.66, label);
    drawing_text(drawing, style, (low + high) / 2, bottom - scene->axis * 0.34, label);
}

/* A band for each year, over its columns; bands meet halfway between the columns at their ends. */
static void draw_axis(const struct scene *scene)
{
    const struct picture *picture = scene->picture;
    double start = scene->left - scene->sizes.margin / 3;
    bool shaded = true;
    drawing_group(scene->drawing, (struct drawing_group){.id = "years"});
    for (size_t column = 0; column < picture->column_count;) {
        size_t next = column;
        double low, high, following, unused,
            end = scene->left + scene->layout->width + scene->sizes.margin / 3;
        while (next < picture->column_count && picture->column_years[next] == picture->column_years[column])
            next++;
        column_extent(scene, next - 1, &low, &high);
        if (next < picture->column_count) {
            column_extent(scene, next, &following, &unused);
            end = (high + following) / 2;
        }
        draw_year(scene, picture->column_years[column], shaded, start, end);
        shaded = !shaded;
        start = end;
        column = next;
    }
    drawing_group_end(scene->drawing);
}

/* ---- edges ---- */

/* The curve of an edge that was not laid out: out of the parent to the right, into the child from the
 * left. */
static void free_curve(const struct scene *scene, const struct picture_edge *edge, struct point curve[4])
{
    struct point parent = node_at(scene, edge->parent), child = node_at(scene, edge->child);
    parent.x += scene->picture->nodes[edge->parent].width / 2;
    child.x -= scene->picture->nodes[edge->child].width / 2;
    double reach = clamp(fabs(child.x - parent.x) * 0.45, 18, 160);
    curve[0] = parent;
    curve[1] = (struct point){parent.x + reach, parent.y};
    curve[2] = (struct point){child.x - reach, child.y};
    curve[3] = child;
}

static void trace_edge(const struct scene *scene, size_t index)
{
    const struct layout_edge *laid = &scene->layout->edges[index];
    struct point curve[4];
    if (laid->point_count < 4) {
        free_curve(scene, &scene->picture->edges[index], curve);
        path_move(scene->drawing, curve[0].x, curve[0].y);
        path_curve(scene->drawing, curve[1], curve[2], curve[3]);
        return;
    }
    struct point start = place(scene, laid->points[0]);
    path_move(scene->drawing, start.x, start.y);
    for (size_t i = 1; i + 2 < laid->point_count; i += 3)
        path_curve(scene->drawing, place(scene, laid->points[i]), place(scene, laid->points[i + 1]),
                   place(scene, laid->points[i + 2]));
}

static void draw_edge(const struct scene *scene, size_t index)
{
    const struct picture_edge *edge = &scene->picture->edges[index];
    size_t below = scene->picture->nodes[edge->child].descendants;
    struct path_style style = {.stroke = {PAINT_HUE, colour_of(scene, edge->child), 1}, .width = 0.8};
    if (!scene->picture->timeline) {
        style.stroke = (struct paint){PAINT_FAINT};
    } else if (edge->primary) {
        style.width = 0.9 + 0.55 * log2(1 + (double)below);
        style.dash = edge->doubtful ? style.width * 1.6 : 0;
    } else {
        bool routed = scene->picture->routed_donors;
        style.stroke = (struct paint){PAINT_HUE, colour_of(scene, edge->parent), routed ? 0.9 : 0.45};
        style.dash = routed ? 4 : 3;
        style.width = routed ? 0.9 : 0.6;
    }
    if (edge->about)
        drawing_group(scene->drawing,
                      (struct drawing_group){.id = arena_format(scene->arena, "edge-%s.%s",
                                                                scene->picture->nodes[edge->parent].key,
                                                                scene->picture->nodes[edge->child].key),
                                             .title = edge->about,
                                             .class = "edge"});
    drawing_path(scene->drawing, style);
    trace_edge(scene, index);
    if (edge->about)
        drawing_group_end(scene->drawing);
}

static void draw_change(const struct scene *scene, size_t index)
{
    const struct picture_edge *edge = &scene->picture->edges[index];
    struct point at = place(scene, scene->layout->edges[index].label);
    struct text_style style = {
        .paint = {PAINT_INK}, .size = PICTURE_LABEL, .italic = !edge->primary, .anchor = ANCHOR_MIDDLE};
    double step = PICTURE_LINE * PICTURE_LABEL, first = at.y - step * ((double)edge->lines.count / 2 - 0.8);
    for (size_t i = 0; i < edge->lines.count; i++)
        drawing_text(scene->drawing, style, at.x, first + step * (double)i, edge->lines.lines[i]);
}

static void draw_edges(const struct scene *scene)
{
    const struct picture *picture = scene->picture;
    drawing_group(scene->drawing, (struct drawing_group){.id = "edges"});
    for (size_t i = picture->edge_count; i-- > 0;) /* donors first, thick lines near the root last */
        draw_edge(scene, i);
    for (size_t i = 0; i < picture->edge_count; i++)
        if (picture->edges[i].label && scene->layout->edges[i].point_count)
            draw_change(scene, i);
    drawing_group_end(scene->drawing);
}

/* ---- nodes ---- */

static void draw_box(const struct scene *scene, size_t index)
{
    const struct picture_node *node = &scene->picture->nodes[index];
    struct drawing *drawing = scene->drawing;
    struct point at = node_at(scene, index);
    uint32_t colour = colour_of(scene, index);
    bool focus = scene->picture->focus && strcmp(scene->picture->focus, node->key) == 0;
    double x = at.x - node->width / 2, y = at.y - node->height / 2, radius = 4;
    struct path_style paper = {.fill = {PAINT_PAPER}};
    struct path_style box = {.fill = {PAINT_HUE, colour, focus ? 0.3 : 0.14},
                             .stroke = {PAINT_HUE, colour, 1},
                             .width = focus       ? 2.4
                                      : node->hub ? 1.6
                                                  : 0.9};
    drawing_rectangle(drawing, paper, x, y, node->width, node->height, radius);
    drawing_rectangle(drawing, box, x, y, node->width, node->height, radius);
    if (node->category < scene->picture->category_count)
        marker_draw(drawing, node->category, colour, x + 0.9 * node->text, at.y, 0.78 * node->text);
    struct text_style style = {.paint = {PAINT_INK}, .size = node->text, .bold = node->hub};
    double baseline = y + 1.18 * node->text;
    for (size_t i = 0; i < node->lines.count; i++)
        drawing_text(drawing, style, x + 1.7 * node->text, baseline + PICTURE_LINE * node->text * (double)i,
                     node->lines.lines[i]);
}

static void draw_node(const struct scene *scene, size_t index)
{
    const struct picture *picture = scene->picture;
    const struct picture_node *node = &picture->nodes[index];
    const char *category =
        node->category < picture->category_count ? picture->categories[node->category].key : "none";
    drawing_group(scene->drawing,
                  (struct drawing_group){.id = arena_format(scene->arena, "node-%s", node->key),
                                         .class = arena_format(scene->arena, "node %s", category),
                                         .title = node->about,
                                         .link = node->link});
    struct point at = node_at(scene, index);
    if (node->label)
        draw_box(scene, index);
    else
        drawing_circle(scene->drawing, (struct path_style){.fill = {PAINT_FAINT}}, at.x, at.y, 2);
    drawing_group_end(scene->drawing);
}

/* Breadth first, so that who goes from one to the next reads the tree from its root. */
static void draw_nodes(const struct scene *scene)
{
    const struct picture *picture = scene->picture;
    size_t count = 0, done = 0;
    size_t *order = arena_allocate(scene->arena, (picture->node_count + 1) * sizeof *order);
    size_t *first = arena_allocate(scene->arena, (picture->node_count + 1) * sizeof *first);
    for (size_t i = 0; i < picture->node_count; i++)
        if (picture->nodes[i].parent == PICTURE_NONE)
            order[count++] = i;
    for (size_t i = picture->primary_count;
         i-- > 0;) /* children of one parent follow one another in depth-first
                                                       * order, not side by side: note where each begins */
        first[picture->edges[i].parent] = i;
    for (; done < count; done++)
        if (picture->nodes[order[done]].descendants)
            for (size_t i = first[order[done]]; i < picture->primary_count; i++)
                if (picture->edges[i].parent == order[done])
                    order[count++] = picture->edges[i].child;
    drawing_group(scene->drawing, (struct drawing_group){.id = "nodes"});
    for (size_t i = 0; i < count; i++)
        draw_node(scene, order[i]);
    drawing_group_end(scene->drawing);
}

/* ---- legend ---- */

struct box {
    double left, top, right, bottom;
};

static bool meets_point(const struct box *box, struct point point)
{
    return point.x > box->left && point.x < box->right && point.y > box->top && point.y < box->bottom;
}

/* Whether something of the tree lies in the box. Curves are looked at in steps smaller than any legend. */
static bool is_taken(const struct scene *scene, const struct box *box)
{
    for (size_t i = 0; i < scene->picture->node_count; i++) {
        const struct picture_node *node = &scene->picture->nodes[i];
        struct point at = node_at(scene, i);
        if (at.x + node->width / 2 > box->left && at.x - node->width / 2 < box->right &&
            at.y + node->height / 2 > box->top && at.y - node->height / 2 < box->bottom)
            return true;
    }
    for (size_t i = 0; i < scene->picture->edge_count; i++) {
        const struct layout_edge *edge = &scene->layout->edges[i];
        struct point curve[4];
        const struct point *points = edge->points;
        size_t count = edge->point_count;
        if (count < 4) {
            free_curve(scene, &scene->picture->edges[i], curve);
            points = curve;
            count = 4;
        }
        for (size_t j = 0; j + 3 < count; j += 3)
            for (int k = 0; k <= 24; k++) {
                double t = k / 24.0, s = 1 - t;
                double a = s * s * s, b = 3 * s * s * t, c = 3 * s * t * t, d = t * t * t;
                struct point p = {
                    a * points[j].x + b * points[j + 1].x + c * points[j + 2].x + d * points[j + 3].x,
                    a * points[j].y + b * points[j + 1].y + c * points[j + 2].y + d * points[j + 3].y};
                if (meets_point(box, points == curve ? p : place(scene, p)))
                    return true;
            }
    }
    return false;
}

/* The empty place that is highest up, then furthest left; false if there is none. */
static bool find_room(const struct scene *scene, double width, double height, struct point *at)
{
    enum { STEPS = 40 };
    double gap = scene->sizes.margin / 2, wide = scene->layout->width - width,
           high = scene->layout->height - height;
    if (wide < 0 || high < 0)
        return false;
    for (int column = 0; column <= STEPS / 4; column++)
        for (int row = 0; row <= STEPS; row++) {
            *at = (struct point){scene->left + wide * column / STEPS, scene->top + high * row / STEPS};
            struct box box = {at->x - gap, at->y - gap, at->x + width + gap, at->y + height + gap};
            if (!is_taken(scene, &box))
                return true;
        }
    return false;
}

/* Inside the picture where it has room, else in columns below. */
static void place_legend(struct scene *scene)
{
    double text = scene->sizes.legend, width = scene->drawing->width - 2 * scene->sizes.margin;
    scene->legend_columns = 1;
    scene->legend = legend_measure(scene->picture, text, 1);
    if (find_room(scene, scene->legend.width, scene->legend.height, &scene->legend_at))
        return;
    scene->legend_columns = (size_t)clamp(floor(width / scene->legend.width), 1, 6);
    scene->legend = legend_measure(scene->picture, text, scene->legend_columns);
    scene->legend_at = (struct point){scene->sizes.margin, scene->drawing->height};
    scene->drawing->height += scene->legend.height + scene->sizes.margin;
}

/* ---- the whole ---- */

static void draw_title(const struct scene *scene)
{
    const struct sizes *sizes = &scene->sizes;
    const struct picture *picture = scene->picture;
    drawing_text(scene->drawing,
                 (struct text_style){.paint = {PAINT_INK}, .size = sizes->title, .bold = true}, sizes->margin,
                 sizes->margin + sizes->title * 0.8, picture->title);
    if (picture->subtitle)
        drawing_text(scene->drawing, (struct text_style){.paint = {PAINT_FAINT}, .size = sizes->subtitle},
                     sizes->margin, sizes->margin + sizes->title + sizes->subtitle * 1.2, picture->subtitle);
}

static double title_width(const struct picture *picture, const struct sizes *sizes)
{
    double width = metric_width(picture->title, sizes->title, true);
    return picture->subtitle ? fmax(width, metric_width(picture->subtitle, sizes->subtitle, false)) : width;
}

void scene_draw(const struct picture *picture, const struct layout *layout, struct arena *arena,
                struct drawing *drawing)
{
    struct scene scene = {.picture = picture, .layout = layout, .drawing = drawing, .arena = arena};
    scene.sizes = choose_sizes(layout->width);
    scene.axis = picture->timeline ? scene.sizes.year * 2 : 0;
    scene.left = scene.sizes.margin;
    scene.top = scene.sizes.margin * 1.6 + scene.sizes.title + scene.sizes.subtitle * 1.4 + scene.axis;
    drawing_init(drawing, arena);
    drawing->title = picture->title;
    drawing->description = picture->description;
    drawing->width = fmax(layout->width, title_width(picture, &scene.sizes)) + 2 * scene.sizes.margin;
    drawing->height = scene.top + layout->height + scene.axis + scene.sizes.margin;
    place_legend(&scene);
    drawing_rectangle(drawing, (struct path_style){.fill = {PAINT_PAPER}}, 0, 0, drawing->width,
                      drawing->height, 0);
    if (picture->timeline)
        draw_axis(&scene);
    draw_title(&scene);
    draw_edges(&scene);
    draw_nodes(&scene);
    legend_draw(picture, &scene.legend, scene.legend_columns, scene.legend_at, drawing);
}
