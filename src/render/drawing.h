/* drawing.h: a picture as a list of shapes and text, which svg.h and page.h paint alike.
 *
 * Units are points, y grows downwards. Colours have roles, so that a viewer in dark mode can change paper and
 * ink and keep the colours that carry meaning. Strings are kept, not copied: they outlive the drawing. */
#ifndef CLADE_RENDER_DRAWING_H
#define CLADE_RENDER_DRAWING_H

#include "base/memory.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct point {
    double x, y;
};

enum paint_role {
    PAINT_NONE,
    PAINT_PAPER, /* what all stands on */
    PAINT_BAND,  /* paper a shade darker */
    PAINT_RULE,  /* thin lines that guide the eye */
    PAINT_FAINT, /* text and lines of less weight */
    PAINT_INK,   /* text and lines */
    PAINT_HUE,   /* the colour itself */
};
struct paint {
    enum paint_role role;
    uint32_t hue;   /* 0xrrggbb of PAINT_HUE */
    double opacity; /* 0 stands for 1 */
};
uint32_t paint_rgb(struct paint paint); /* on paper */

struct path_style {
    struct paint fill, stroke;
    double width; /* of the stroke */
    double dash;  /* length of dashes, their gaps are as long; 0: none */
};

enum path_verb { PATH_MOVE, PATH_LINE, PATH_CURVE, PATH_CLOSE }; /* take 1, 1, 3 and 0 points */

enum text_anchor { ANCHOR_START, ANCHOR_MIDDLE, ANCHOR_END };
struct text_style {
    struct paint paint;
    double size;
    bool bold, italic;
    enum text_anchor anchor;
};

enum drawing_item_type { DRAWING_GROUP, DRAWING_GROUP_END, DRAWING_PATH, DRAWING_TEXT };

/* A group is what a reader meets as one thing: it has an id to be found by, a title that is shown on
 * pointing, and a link. */
struct drawing_group {
    const char *id, *class, *title, *link; /* each may be NULL */
};

struct drawing_item {
    enum drawing_item_type type;
    union {
        struct drawing_group group;
        struct {
            struct path_style style;
            size_t verb, verb_count, point; /* first of each in the drawing */
        } path;
        struct {
            struct text_style style;
            struct point at; /* of the baseline */
            const char *text;
            double width; /* that it takes */
        } text;
    };
};

struct drawing {
    double width, height;
    const char *title, *description;
    struct drawing_item *items;
    size_t item_count;
    enum path_verb *verbs;
    size_t verb_count;
    struct point *points;
    size_t point_count;
    struct arena *arena;
};

void drawing_init(struct drawing *drawing, struct arena *arena);

void drawing_group(struct drawing *drawing, struct drawing_group group);
void drawing_group_end(struct drawing *drawing);
void drawing_text(struct drawing *drawing, struct text_style style, double x, double y, const char *text);

/* A path is begun with its style; what follows belongs to it until another item is begun. */
void drawing_path(struct drawing *drawing, struct path_style style);
void path_move(struct drawing *drawing, double x, double y);
void path_line(struct drawing *drawing, double x, double y);
void path_curve(struct drawing *drawing, struct point a, struct point b, struct point end);
void path_close(struct drawing *drawing);

/* Whole paths of common shapes. */
void drawing_rectangle(struct drawing *drawing, struct path_style style, double x, double y, double width,
                       double height, double radius);
void drawing_line(struct drawing *drawing, struct path_style style, double x1, double y1, double x2,
                  double y2);
void drawing_circle(struct drawing *drawing, struct path_style style, double x, double y, double radius);

#endif
