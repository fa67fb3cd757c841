/* picture.h: what is to be drawn of a family tree: nodes with labels, edges, the categories that colour them.
 * A picture has no places yet; dot.h writes it for Graphviz, layout.h gives places, scene.h draws it. */
#ifndef CLADE_RENDER_PICTURE_H
#define CLADE_RENDER_PICTURE_H

#include "base/memory.h"
#include "render/metric.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PICTURE_NONE SIZE_MAX

struct picture_node {
    const char *key;   /* names it; no two nodes share one */
    const char *label; /* NULL: a branching without a name, drawn as a point */
    const char *about; /* what is told of it on pointing, lines divided by newlines; may be NULL */
    const char *link;  /* URL or NULL */
    size_t category;   /* PICTURE_NONE: none or unknown */
    int year;          /* 0: unknown */
    /* Set by picture_arrange(): */
    size_t column;           /* in time, from 0 */
    size_t parent;           /* edge from it, the primary one; PICTURE_NONE at a root */
    size_t descendants;      /* along primary edges */
    bool hub;                /* one of those from which much descends */
    double text;             /* size of the label */
    struct text_lines lines; /* of the label */
    double width, height;    /* points */
};

struct picture_edge {
    size_t parent, child; /* nodes */
    bool primary;         /* at most one a child, and without circles */
    bool doubtful;        /* drawn dotted */
    double length;        /* of a branch; below 0 or NaN: none. Not of timelines */
    const char *label;    /* what changed, or how sure a branch is; NULL: nothing is written on the edge */
    const char *about;    /* as of a node */
    /* Set by picture_arrange(): */
    struct text_lines lines;
    double width, height; /* of the label */
};

struct picture_category {
    const char *key, *name;
    uint32_t colour; /* 0xrrggbb */
    size_t count;    /* of nodes: set by picture_arrange() */
};

struct picture {
    const char *title, *subtitle;
    const char *description;    /* a sentence for readers that do not see the picture */
    const char *category_title; /* of the legend */
    bool timeline;              /* columns are years; else branches are drawn by their length */
    bool routed_donors;         /* donor edges take part in the layout: for small pictures */
    const char *focus;          /* key of the node that the picture is about, or NULL */
    struct picture_node *nodes;
    size_t node_count;
    struct picture_edge *edges;
    size_t edge_count;
    struct picture_category *categories;
    size_t category_count;
    /* Set by picture_arrange(): */
    size_t column_count;
    int *column_years;
    size_t primary_count; /* edges before it are primary, the others are not */
};

/* Sorts the edges (primary ones depth first, children of one category side by side; then donors) and sets all
 * that follows from them. */
void picture_arrange(struct picture *picture, struct arena *arena);

enum {                    /* points */
       PICTURE_TEXT = 9,  /* size of labels */
       PICTURE_LABEL = 7, /* of what stands on edges */
};
#define PICTURE_LINE 1.17 /* height of a line in sizes of its text */

#endif
