#include "render/dot.h"
#include <stdlib.h>
#include <string.h>

enum { CLEARANCE = 4 }; /* points */

/* A string of DOT: quotes and backslashes are escaped, lines end in \n, other control characters are
 * blanks. */
static void print_quoted(FILE *stream, const char *text)
{
    fputc('"', stream);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fprintf(stream, "\\%c", *text);
        else if (*text == '\n')
            fputs("\\n", stream);
        else
            fputc((unsigned char)*text < ' ' || *text == 127 ? ' ' : *text, stream);
    }
    fputc('"', stream);
}

static void print_attribute(FILE *stream, const char *name, const char *text)
{
    if (!text)
        return;
    fprintf(stream, ", %s=", name);
    print_quoted(stream, text);
}

static void print_lines(FILE *stream, const char *name, const struct text_lines *lines)
{
    size_t length = 1;
    for (size_t i = 0; i < lines->count; i++)
        length += strlen(lines->lines[i]) + 1;
    char *joined = memory_allocate(length), *end = joined;
    for (size_t i = 0; i < lines->count; i++) {
        end = stpcpy(end, lines->lines[i]);
        *end++ = i + 1 < lines->count ? '\n' : '\0';
    }
    print_attribute(stream, name, joined);
    free(joined);
}

static void print_size(FILE *stream, double width, double height)
{
    fprintf(stream, "width=%.3f, height=%.3f", width / 72, height / 72);
}

static void print_node(const struct picture *picture, const struct picture_node *node,
                       enum dot_purpose purpose, FILE *stream)
{
    print_quoted(stream, node->key);
    fputs(" [", stream);
    /* Room for lines to pass between boxes without touching them. */
    print_size(stream, node->width, node->height + (purpose == DOT_TO_PLACE && node->label ? CLEARANCE : 0));
    if (purpose == DOT_TO_READ) {
        if (node->label)
            print_lines(stream, "label", &node->lines);
        else
            fputs(", shape=point", stream);
        print_attribute(stream, "tooltip", node->about);
        print_attribute(stream, "URL", node->link);
        print_attribute(stream, "id", node->key);
        if (node->category < picture->category_count) {
            const struct picture_category *category = &picture->categories[node->category];
            print_attribute(stream, "class", category->key);
            fprintf(stream, ", color=\"#%06x\", fillcolor=\"#%06x26\"", category->colour, category->colour);
        }
        if (node->hub)
            fputs(", fontname=\"Helvetica-Bold\", penwidth=1.5", stream);
    }
    fputs("];\n", stream);
}

/* An edge that runs against time must not pull its ends' columns. */
static bool backward(const struct picture *picture, const struct picture_edge *edge)
{
    return picture->timeline && picture->nodes[edge->parent].column >= picture->nodes[edge->child].column;
}

static void print_edge(const struct picture *picture, const struct picture_edge *edge,
                       enum dot_purpose purpose, FILE *stream)
{
    print_quoted(stream, picture->nodes[edge->parent].key);
    fputs(" -> ", stream);
    print_quoted(stream, picture->nodes[edge->child].key);
    fprintf(stream, " [weight=%d", edge->primary ? 8 : 1);
    if (backward(picture, edge) || (!edge->primary && !picture->routed_donors))
        fputs(", constraint=false", stream);
    if (purpose == DOT_TO_PLACE && edge->label) /* a box of the label's size, without its text */
        fprintf(stream,
                ", label=<<TABLE BORDER=\"0\" CELLBORDER=\"0\" CELLPADDING=\"0\" CELLSPACING=\"0\" "
                "FIXEDSIZE=\"TRUE\" WIDTH=\"%.0f\" HEIGHT=\"%.0f\"><TR><TD></TD></TR></TABLE>>",
                edge->width, edge->height);
    if (purpose == DOT_TO_READ) {
        if (edge->label)
            print_lines(stream, "label", &edge->lines);
        print_attribute(stream, "tooltip", edge->about);
        if (!edge->primary)
            fputs(", style=dashed, color=\"#5f6670\"", stream);
        else if (edge->doubtful)
            fputs(", style=dotted", stream);
    }
    fputs("];\n", stream);
}

/* The columns of a timeline: nodes of one column have one rank, and a chain of columns bears the years. */
static void print_columns(const struct picture *picture, enum dot_purpose purpose, FILE *stream)
{
    for (size_t column = 0; column < picture->column_count; column++) {
        fprintf(stream, "{rank=same; \"year:%zu\"", column);
        bool first = column == 0 || picture->column_years[column] != picture->column_years[column - 1];
        if (purpose == DOT_TO_READ && first && picture->column_years[column])
            fprintf(stream, " [label=\"%d\"]", picture->column_years[column]);
        for (size_t i = 0; i < picture->node_count; i++) {
            if (picture->nodes[i].column != column)
                continue;
            fputs("; ", stream);
            print_quoted(stream, picture->nodes[i].key);
        }
        fputs("}\n", stream);
    }
    for (size_t column = 1; column < picture->column_count; column++)
        fprintf(stream, "\"year:%zu\" -> \"year:%zu\" [style=invis, weight=100];\n", column - 1, column);
}

void dot_print(const struct picture *picture, enum dot_purpose purpose, FILE *stream)
{
    bool routed = picture->routed_donors;
    fputs("digraph clade {\n", stream);
    fprintf(stream, "graph [rankdir=LR, nodesep=%s, ranksep=%s%s];\n", routed ? "0.12" : "0.045",
            routed ? "0.35" : "0.22", routed ? "" : ", ordering=out");
    fputs("node [shape=box, fixedsize=true, label=\"\"];\n"
          "edge [arrowhead=none, tailport=e, headport=w];\n",
          stream);
    if (purpose == DOT_TO_READ) {
        fputs("graph [labelloc=t, fontname=\"Helvetica-Bold\", fontsize=24, label=", stream);
        print_quoted(stream, picture->title ? picture->title : "");
        fprintf(stream,
                "];\nnode [style=\"rounded,filled\", fontname=Helvetica, fontsize=%d, color=\"#5f6670\", "
                "fillcolor=white];\nedge [fontname=Helvetica, fontsize=%d];\n",
                PICTURE_TEXT, PICTURE_LABEL);
    }
    for (size_t i = 0; i < picture->node_count; i++)
        print_node(picture, &picture->nodes[i], purpose, stream);
    size_t edges = purpose == DOT_TO_READ || routed ? picture->edge_count : picture->primary_count;
    for (size_t i = 0; i < edges; i++)
        print_edge(picture, &picture->edges[i], purpose, stream);
    if (picture->timeline) {
        if (purpose == DOT_TO_READ)
            fputs("node [shape=plaintext, fixedsize=false, style=\"\", fontsize=14];\n", stream);
        else
            fputs("node [width=0.1, height=0.1];\n", stream);
        print_columns(picture, purpose, stream);
    }
    fputs("}\n", stream);
}
