#include "render/page.h"
#include "base/text.h"
#include <cairo-pdf.h>
#include <cairo.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static cairo_status_t write_bytes(void *stream, const unsigned char *bytes, unsigned length)
{
    fwrite(bytes, 1, length, stream); /* a failure stays in the stream's error flag */
    return CAIRO_STATUS_SUCCESS;
}

static void use_paint(cairo_t *cairo, struct paint paint)
{
    uint32_t rgb = paint_rgb(paint);
    cairo_set_source_rgba(cairo, (rgb >> 16 & 255) / 255.0, (rgb >> 8 & 255) / 255.0, (rgb & 255) / 255.0,
                          paint.opacity > 0 ? paint.opacity : 1);
}

static void paint_path(cairo_t *cairo, const struct drawing *drawing, const struct drawing_item *item)
{
    const struct path_style *style = &item->path.style;
    const struct point *p = &drawing->points[item->path.point];
    cairo_new_path(cairo);
    for (size_t i = 0; i < item->path.verb_count; i++) {
        switch (drawing->verbs[item->path.verb + i]) {
        case PATH_MOVE:
            cairo_move_to(cairo, p->x, p->y);
            p++;
            break;
        case PATH_LINE:
            cairo_line_to(cairo, p->x, p->y);
            p++;
            break;
        case PATH_CURVE:
            cairo_curve_to(cairo, p[0].x, p[0].y, p[1].x, p[1].y, p[2].x, p[2].y);
            p += 3;
            break;
        case PATH_CLOSE:
            cairo_close_path(cairo);
            break;
        }
    }
    if (style->fill.role != PAINT_NONE) {
        use_paint(cairo, style->fill);
        cairo_fill_preserve(cairo);
    }
    if (style->stroke.role != PAINT_NONE) {
        use_paint(cairo, style->stroke);
        cairo_set_line_width(cairo, style->width);
        cairo_set_dash(cairo, &style->dash, style->dash > 0, 0);
        cairo_stroke(cairo);
    }
    cairo_new_path(cairo);
}

/* The font may differ from the one that was measured: what is drawn is stretched to the width. */
static void paint_text(cairo_t *cairo, const struct drawing_item *item)
{
    const struct text_style *style = &item->text.style;
    cairo_text_extents_t extents;
    cairo_select_font_face(cairo, "Liberation Sans",
                           style->italic ? CAIRO_FONT_SLANT_ITALIC : CAIRO_FONT_SLANT_NORMAL,
                           style->bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cairo, style->size);
    cairo_text_extents(cairo, item->text.text, &extents);
    double start = style->anchor == ANCHOR_START    ? 0
                   : style->anchor == ANCHOR_MIDDLE ? item->text.width / 2
                                                    : item->text.width;
    cairo_save(cairo);
    cairo_translate(cairo, item->text.at.x - start, item->text.at.y);
    if (extents.x_advance > 0 && fabs(extents.x_advance - item->text.width) > 0.002 * extents.x_advance)
        cairo_scale(cairo, item->text.width / extents.x_advance, 1);
    use_paint(cairo, style->paint);
    cairo_move_to(cairo, 0, 0);
    cairo_show_text(cairo, item->text.text);
    cairo_restore(cairo);
}

/* A link of PDF: quotes and backslashes in the attribute are escaped. */
static bool begin_link(cairo_t *cairo, const char *link)
{
    struct text attributes;
    text_init(&attributes, 1 << 16);
    text_append(&attributes, "uri='");
    for (const char *c = link; *c; c++)
        text_format(&attributes, *c == '\'' || *c == '\\' ? "\\%c" : "%c", *c);
    text_append(&attributes, "'");
    bool good = !attributes.failed;
    if (good)
        cairo_tag_begin(cairo, CAIRO_TAG_LINK, text_string(&attributes));
    text_release(&attributes);
    return good;
}

static void paint(cairo_t *cairo, const struct drawing *drawing, bool with_links)
{
    bool *links = memory_allocate_zero(drawing->item_count + 1, sizeof *links);
    size_t depth = 0;
    use_paint(cairo, (struct paint){PAINT_PAPER});
    cairo_paint(cairo);
    cairo_set_line_join(cairo, CAIRO_LINE_JOIN_ROUND);
    for (size_t i = 0; i < drawing->item_count; i++) {
        const struct drawing_item *item = &drawing->items[i];
        switch (item->type) {
        case DRAWING_GROUP:
            links[depth++] = with_links && item->group.link && begin_link(cairo, item->group.link);
            break;
        case DRAWING_GROUP_END:
            if (links[--depth])
                cairo_tag_end(cairo, CAIRO_TAG_LINK);
            break;
        case DRAWING_PATH:
            paint_path(cairo, drawing, item);
            break;
        case DRAWING_TEXT:
            paint_text(cairo, item);
            break;
        }
    }
    free(links);
}

static cairo_t *create_context(cairo_surface_t *surface)
{
    cairo_t *cairo = cairo_create(surface);
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    cairo_set_font_options(cairo, options);
    cairo_font_options_destroy(options);
    return cairo;
}

static enum status finish(cairo_t *cairo, cairo_surface_t *surface, const char *format, struct error *error)
{
    cairo_status_t result = cairo_status(cairo);
    cairo_destroy(cairo);
    cairo_surface_finish(surface);
    if (!result)
        result = cairo_surface_status(surface);
    cairo_surface_destroy(surface);
    if (!result)
        return STATUS_OK;
    return error_set(error, STATUS_OUTSIDE, "cannot draw the %s: %s", format, cairo_status_to_string(result));
}

enum status page_print_png(const struct drawing *drawing, double scale, FILE *stream, struct error *error)
{
    double width = ceil(drawing->width * scale), height = ceil(drawing->height * scale);
    if (!(width <= 32767 && height <= 32767))
        return error_set(error, STATUS_OUTSIDE,
                         "a PNG of %.0f by %.0f pixels is too large: draw a part of the tree, or SVG", width,
                         height);
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)width, (int)height);
    cairo_t *cairo = create_context(surface);
    cairo_scale(cairo, scale, scale);
    paint(cairo, drawing, false);
    cairo_surface_flush(surface);
    if (!cairo_status(cairo) && !cairo_surface_status(surface))
        cairo_surface_write_to_png_stream(surface, write_bytes, stream);
    return finish(cairo, surface, "PNG", error);
}

enum status page_print_pdf(const struct drawing *drawing, FILE *stream, struct error *error)
{
    cairo_surface_t *surface =
        cairo_pdf_surface_create_for_stream(write_bytes, stream, drawing->width, drawing->height);
    cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_TITLE, drawing->title);
    cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_CREATE_DATE, "");
    cairo_t *cairo = create_context(surface);
    paint(cairo, drawing, true);
    cairo_show_page(cairo);
    return finish(cairo, surface, "PDF", error);
}
