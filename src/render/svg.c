#include "render/svg.h"
#include "base/xml.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* With two digits after the point, as few as say the same. */
static void print_number(FILE *stream, double number)
{
    long hundredths = lround(number * 100);
    const char *sign = hundredths < 0 ? "-" : "";
    hundredths = labs(hundredths);
    long whole = hundredths / 100, fraction = hundredths % 100;
    if (fraction == 0)
        fprintf(stream, "%s%ld", sign, whole);
    else if (fraction % 10 == 0)
        fprintf(stream, "%s%ld.%ld", sign, whole, fraction / 10);
    else
        fprintf(stream, "%s%ld.%02ld", sign, whole, fraction);
}

static void print_attribute(FILE *stream, const char *name, const char *text)
{
    if (!text)
        return;
    fprintf(stream, " %s=\"", name);
    xml_print(stream, text);
    fputc('"', stream);
}

static void print_number_attribute(FILE *stream, const char *name, double number)
{
    fprintf(stream, " %s=\"", name);
    print_number(stream, number);
    fputc('"', stream);
}

static const char *const role_names[] = {
    [PAINT_PAPER] = "paper", [PAINT_BAND] = "band", [PAINT_RULE] = "rule",
    [PAINT_FAINT] = "faint", [PAINT_INK] = "ink",
};

/* ---- dark mode ---- */

static const uint32_t dark_roles[] = {
    [PAINT_PAPER] = 0x14161a, [PAINT_BAND] = 0x1c1f25, [PAINT_RULE] = 0x3a4049,
    [PAINT_FAINT] = 0xa9b0ba, [PAINT_INK] = 0xeceef1,
};

/* Mixed with white until it stands out from dark paper. */
static uint32_t lighten(uint32_t rgb)
{
    double channels[3];
    for (int i = 0; i < 3; i++)
        channels[i] = (double)(rgb >> (16 - 8 * i) & 255);
    double light = 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2];
    double white = light < 140 ? (140 - light) / (255 - light) : 0;
    uint32_t result = 0;
    for (int i = 0; i < 3; i++)
        result = result << 8 | (uint32_t)lround(channels[i] + (255 - channels[i]) * white);
    return result;
}

static void note_hue(struct paint paint, uint32_t *hues, size_t *count, size_t maximum)
{
    if (paint.role != PAINT_HUE || *count == maximum)
        return;
    for (size_t i = 0; i < *count; i++)
        if (hues[i] == paint.hue)
            return;
    hues[(*count)++] = paint.hue;
}

static void print_dark_styles(const struct drawing *drawing, FILE *stream)
{
    uint32_t hues[64];
    size_t count = 0;
    for (size_t i = 0; i < drawing->item_count; i++) {
        const struct drawing_item *item = &drawing->items[i];
        if (item->type == DRAWING_PATH) {
            note_hue(item->path.style.fill, hues, &count, 64);
            note_hue(item->path.style.stroke, hues, &count, 64);
        } else if (item->type == DRAWING_TEXT) {
            note_hue(item->text.style.paint, hues, &count, 64);
        }
    }
    fputs("@media screen and (prefers-color-scheme:dark){\n", stream);
    for (int role = PAINT_PAPER; role <= PAINT_INK; role++)
        fprintf(stream, ".%s{fill:#%06x}.%s-line{stroke:#%06x}\n", role_names[role], dark_roles[role],
                role_names[role], dark_roles[role]);
    for (size_t i = 0; i < count; i++)
        fprintf(stream, "[fill=\"#%06x\"]{fill:#%06x}[stroke=\"#%06x\"]{stroke:#%06x}\n", hues[i],
                lighten(hues[i]), hues[i], lighten(hues[i]));
    fputs("}\n", stream);
}

/* ---- items ---- */

static void print_paint(FILE *stream, const char *name, const char *suffix, struct paint paint)
{
    if (paint.role == PAINT_NONE) {
        fprintf(stream, " %s=\"none\"", name);
        return;
    }
    fprintf(stream, " %s=\"#%06x\"", name, paint_rgb(paint));
    if (paint.opacity > 0 && paint.opacity < 1) {
        fprintf(stream, " %s-opacity=\"", name);
        print_number(stream, paint.opacity);
        fputc('"', stream);
    }
    if (paint.role != PAINT_HUE)
        fprintf(stream, " class=\"%s%s\"", role_names[paint.role], suffix);
}

/* Both paints of a shape may have a role; XML allows one class attribute. */
static void print_paints(FILE *stream, const struct path_style *style)
{
    bool both = style->fill.role != PAINT_NONE && style->fill.role != PAINT_HUE &&
                style->stroke.role != PAINT_NONE && style->stroke.role != PAINT_HUE;
    if (!both) {
        print_paint(stream, "fill", "", style->fill);
        if (style->stroke.role != PAINT_NONE)
            print_paint(stream, "stroke", "-line", style->stroke);
        return;
    }
    fprintf(stream, " fill=\"#%06x\" stroke=\"#%06x\" class=\"%s %s-line\"", paint_rgb(style->fill),
            paint_rgb(style->stroke), role_names[style->fill.role], role_names[style->stroke.role]);
}

static void print_path(const struct drawing *drawing, const struct drawing_item *item, FILE *stream)
{
    static const char letters[] = {'M', 'L', 'C', 'Z'};
    static const int counts[] = {1, 1, 3, 0};
    const struct path_style *style = &item->path.style;
    fputs("<path d=\"", stream);
    const struct point *point = &drawing->points[item->path.point];
    for (size_t i = 0; i < item->path.verb_count; i++) {
        enum path_verb verb = drawing->verbs[item->path.verb + i];
        fputc(letters[verb], stream);
        for (int j = 0; j < counts[verb]; j++, point++) {
            if (j)
                fputc(' ', stream);
            print_number(stream, point->x);
            fputc(' ', stream);
            print_number(stream, point->y);
        }
    }
    fputc('"', stream);
    print_paints(stream, style);
    if (style->stroke.role != PAINT_NONE)
        print_number_attribute(stream, "stroke-width", style->width);
    if (style->stroke.role != PAINT_NONE && style->dash > 0)
        print_number_attribute(stream, "stroke-dasharray", style->dash);
    fputs("/>\n", stream);
}

static void print_text(const struct drawing_item *item, FILE *stream)
{
    static const char *const anchors[] = {NULL, "middle", "end"};
    const struct text_style *style = &item->text.style;
    fputs("<text", stream);
    print_number_attribute(stream, "x", item->text.at.x);
    print_number_attribute(stream, "y", item->text.at.y);
    print_number_attribute(stream, "font-size", style->size);
    print_attribute(stream, "font-weight", style->bold ? "bold" : NULL);
    print_attribute(stream, "font-style", style->italic ? "italic" : NULL);
    print_attribute(stream, "text-anchor", anchors[style->anchor]);
    print_paint(stream, "fill", "", style->paint);
    if (item->text.width > 0) /* whatever the viewer's font, the text keeps its place */
        print_number_attribute(stream, "textLength", item->text.width);
    fputs(" lengthAdjust=\"spacingAndGlyphs\">", stream);
    xml_print(stream, item->text.text);
    fputs("</text>\n", stream);
}

static void print_group(const struct drawing_group *group, FILE *stream)
{
    fputs(group->link ? "<a" : "<g", stream);
    print_attribute(stream, "id", group->id);
    print_attribute(stream, "class", group->class);
    print_attribute(stream, "href", group->link);
    fputs(">\n", stream);
    if (group->title) {
        fputs("<title>", stream);
        xml_print(stream, group->title);
        fputs("</title>\n", stream);
    }
}

static void print_items(const struct drawing *drawing, FILE *stream)
{
    bool *links =
        memory_allocate_zero(drawing->item_count + 1, sizeof *links); /* open groups, outermost first */
    size_t depth = 0;
    for (size_t i = 0; i < drawing->item_count; i++) {
        const struct drawing_item *item = &drawing->items[i];
        switch (item->type) {
        case DRAWING_GROUP:
            links[depth++] = item->group.link != NULL;
            print_group(&item->group, stream);
            break;
        case DRAWING_GROUP_END:
            fputs(links[--depth] ? "</a>\n" : "</g>\n", stream);
            break;
        case DRAWING_PATH:
            print_path(drawing, item, stream);
            break;
        case DRAWING_TEXT:
            print_text(item, stream);
            break;
        }
    }
    free(links);
}

void svg_print(const struct drawing *drawing, FILE *stream)
{
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"",
          stream);
    print_number(stream, drawing->width);
    fputs("pt\" height=\"", stream);
    print_number(stream, drawing->height);
    fputs("pt\" viewBox=\"0 0 ", stream);
    print_number(stream, drawing->width);
    fputc(' ', stream);
    print_number(stream, drawing->height);
    fputs("\" lang=\"en\" role=\"graphics-document document\" aria-labelledby=\"title description\">\n"
          "<title id=\"title\">",
          stream);
    xml_print(stream, drawing->title);
    fputs("</title>\n<desc id=\"description\">", stream);
    xml_print(stream, drawing->description);
    fputs("</desc>\n<style>\n"
          "text{font-family:Helvetica,Arial,\"Liberation Sans\",sans-serif}\n"
          "path{stroke-linecap:butt;stroke-linejoin:round}\n"
          "a:hover text,a:focus text{text-decoration:underline}\n",
          stream);
    print_dark_styles(drawing, stream);
    fputs("</style>\n", stream);
    print_items(drawing, stream);
    fputs("</svg>\n", stream);
}
