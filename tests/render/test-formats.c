/* The picture as it leaves: SVG, PNG, PDF. */
#include "pictures.h"
#include "render/render.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static char *rendered(const struct picture *picture, enum render_format format, size_t *length)
{
    char *text = NULL;
    struct error error = ERROR_INIT;
    FILE *stream = open_memstream(&text, length);
    if (render_print(picture, format, &arena, stream, &error))
        fail_msg("%s", error.message);
    fclose(stream);
    char *copy = arena_allocate(&arena, *length + 1);
    memcpy(copy, text, *length);
    free(text);
    return copy;
}

/* Tags are closed in order, attributes quoted, ids unique, and no bare '&' or '<' is left. */
static void expect_well_formed(const char *xml)
{
    const char *open[64], *ids[1000];
    size_t depth = 0, id_count = 0;
    for (const char *c = xml; *c; c++) {
        if (*c == '&')
            assert_true(strncmp(c, "&lt;", 4) == 0 || strncmp(c, "&gt;", 4) == 0 ||
                        strncmp(c, "&amp;", 5) == 0 || strncmp(c, "&quot;", 6) == 0 ||
                        strncmp(c, "&#", 2) == 0);
        if (*c != '<')
            continue;
        const char *end = strchr(c, '>');
        assert_non_null(end);
        size_t length = strcspn(c + 1, " />\n");
        if (c[1] == '/') {
            length = (size_t)(end - c - 2);
            assert_true(depth > 0 && strncmp(open[depth - 1], c + 2, length) == 0);
            depth--;
        } else if (c[1] != '?' && end[-1] != '/') {
            assert_true(depth < 64 && length > 0);
            open[depth++] = c + 1;
        }
        const char *id = strstr(c, " id=\"");
        if (id && id < end) {
            for (size_t i = 0; i < id_count; i++)
                assert_true(strncmp(ids[i], id, strcspn(id + 5, "\"") + 6) != 0);
            assert_true(id_count < 1000);
            ids[id_count++] = id;
        }
        c = end;
    }
    assert_int_equal(depth, 0);
}

static void svg_is_well_formed_whatever_the_names(void **state)
{
    struct picture picture = odd_picture();
    size_t length;
    const char *svg = rendered(&picture, RENDER_SVG, &length);
    assert_int_equal(strlen(svg), length);
    expect_well_formed(svg);
    assert_null(strstr(svg, "<script"));
    assert_non_null(strstr(svg, "<title id=\"title\">Title &amp; &lt;title&gt;</title>"));
    assert_non_null(strstr(svg, "<desc id=\"description\">five &lt;nodes&gt;</desc>"));
    assert_non_null(strstr(svg, "role=\"graphics-document document\" aria-labelledby=\"title description\""));
}

static void svg_nodes_have_ids_titles_and_links(void **state)
{
    struct picture picture = odd_picture();
    size_t length;
    const char *svg = rendered(&picture, RENDER_SVG, &length);
    assert_non_null(strstr(
        svg, "<g id=\"node-a\" class=\"node one\">\n<title>first&#10;second &amp; &lt;third&gt;</title>"));
    assert_non_null(strstr(
        svg, "<a id=\"node-b\" class=\"node two\" href=\"https://example.org/?a=1&amp;b=&#39;2&#39;\">"));
    assert_non_null(strstr(svg, "<g id=\"node-c-1\" class=\"node none\">"));
    assert_non_null(strstr(svg, "\xE2\x88\x9E-former</text>"));
    assert_non_null(strstr(svg, "bad \xEF\xBF\xBD byte"));
    assert_non_null(strstr(svg, "prefers-color-scheme:dark"));
}

/* Nodes stand in the source as a reader would go through the tree: breadth first. */
static void svg_nodes_come_breadth_first(void **state)
{
    struct picture picture = random_picture(23, 60, 10);
    size_t length, depths[60] = {0};
    const char *svg = rendered(&picture, RENDER_SVG, &length), *at = strstr(svg, "id=\"nodes\"");
    size_t last = 0, count = 0;
    for (size_t i = 0; i < picture.primary_count; i++)
        depths[picture.edges[i].child] = depths[picture.edges[i].parent] + 1;
    while ((at = strstr(at, "id=\"node-n"))) {
        size_t node = (size_t)atoi(at + strlen("id=\"node-n"));
        assert_true(depths[node] >= last);
        last = depths[node];
        count++;
        at++;
    }
    assert_int_equal(count, 60);
}

static void the_same_picture_gives_the_same_bytes(void **state)
{
    static const enum render_format formats[] = {RENDER_DOT, RENDER_SVG, RENDER_PNG, RENDER_PDF};
    struct picture picture = random_picture(29, 50, 20);
    for (size_t i = 0; i < 4; i++) {
        size_t first_length, second_length;
        const char *first = rendered(&picture, formats[i], &first_length);
        const char *second = rendered(&picture, formats[i], &second_length);
        assert_int_equal(first_length, second_length);
        assert_memory_equal(first, second, first_length);
    }
}

static unsigned number_at(const char *bytes)
{
    const unsigned char *at = (const unsigned char *)bytes;
    return (unsigned)at[0] << 24 | (unsigned)at[1] << 16 | (unsigned)at[2] << 8 | at[3];
}

static void png_has_two_pixels_a_point(void **state)
{
    struct picture picture = odd_picture();
    size_t length, svg_length;
    const char *png = rendered(&picture, RENDER_PNG, &length),
               *svg = rendered(&picture, RENDER_SVG, &svg_length);
    assert_memory_equal(png, "\x89PNG\r\n\x1a\n", 8);
    assert_true(number_at(png + 16) == (unsigned)ceil(2 * atof(strstr(svg, "width=\"") + 7)));
    assert_true(number_at(png + 20) == (unsigned)ceil(2 * atof(strstr(svg, "height=\"") + 8)));
}

static void pdf_is_a_page_with_links(void **state)
{
    struct picture picture = odd_picture();
    size_t length;
    const char *pdf = rendered(&picture, RENDER_PDF, &length);
    assert_memory_equal(pdf, "%PDF-1.", 7);
    assert_memory_equal(pdf + length - 6, "%%EOF\n", 6);
    assert_null(memmem(pdf, length, "CreationDate (D:2", 17));
}

static void a_picture_that_is_too_large_for_a_png_is_refused(void **state)
{
    struct picture picture = random_picture(31, 3000, 0);
    struct error error = ERROR_INIT;
    FILE *stream = fopen("/dev/null", "w");
    picture.timeline = false; /* one below the other */
    for (size_t i = 0; i < picture.edge_count; i++)
        picture.edges[i].length = 1;
    picture_arrange(&picture, &arena);
    assert_int_equal(render_print(&picture, RENDER_PNG, &arena, stream, &error), STATUS_OUTSIDE);
    assert_non_null(strstr(error.message, "pixels is too large"));
    fclose(stream);
}

static void an_empty_picture_is_drawn(void **state)
{
    struct picture picture = {
        .title = "Nothing", .description = "nothing", .category_title = "", .timeline = true};
    size_t length;
    picture_arrange(&picture, &arena);
    expect_well_formed(rendered(&picture, RENDER_SVG, &length));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ARENA(svg_is_well_formed_whatever_the_names),
        WITH_ARENA(svg_nodes_have_ids_titles_and_links),
        WITH_ARENA(svg_nodes_come_breadth_first),
        WITH_ARENA(the_same_picture_gives_the_same_bytes),
        WITH_ARENA(png_has_two_pixels_a_point),
        WITH_ARENA(pdf_is_a_page_with_links),
        WITH_ARENA(a_picture_that_is_too_large_for_a_png_is_refused),
        WITH_ARENA(an_empty_picture_is_drawn),
    };
    return cmocka_run_group_tests_name("formats", tests, NULL, NULL);
}
