#include "render/render.h"
#include "render/dot.h"
#include "render/layout.h"
#include "render/page.h"
#include "render/scene.h"
#include "render/svg.h"

enum { LAYOUT_SECONDS = 30 };
#define PIXELS_PER_POINT 2.0

enum status render_print(const struct picture *picture, enum render_format format, struct arena *arena,
                         FILE *stream, struct error *error)
{
    struct layout layout;
    struct drawing drawing;
    if (format == RENDER_DOT) {
        dot_print(picture, DOT_TO_READ, stream);
        return STATUS_OK;
    }
    enum status status = STATUS_OK;
    if (picture->timeline)
        status = layout_picture(picture, LAYOUT_SECONDS, arena, &layout, error);
    else
        layout_branches(picture, arena, &layout);
    if (status)
        return status;
    scene_draw(picture, &layout, arena, &drawing);
    if (format == RENDER_PNG)
        return page_print_png(&drawing, PIXELS_PER_POINT, stream, error);
    if (format == RENDER_PDF)
        return page_print_pdf(&drawing, stream, error);
    svg_print(&drawing, stream);
    return STATUS_OK;
}
