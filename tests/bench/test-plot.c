#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/plot.h"
#include <cmocka.h>
#include <string.h>

static size_t count(const char *text, const char *part)
{
    size_t found = 0;
    for (; (text = strstr(text, part)) != NULL; text += strlen(part))
        found++;
    return found;
}

static void every_series_is_drawn_and_named(void **state)
{
    (void)state;
    const struct plot_point points[] = {{256, 1e-3, 1e-3, 1e-3}, {1024, 4e-3, 3e-3, 5e-3}};
    const struct plot_series series[] = {{"gpt prefill", points, 2}, {"gla prefill", points, 2}};
    const struct plot plot = {"Time", "length", "seconds", series, 2};
    struct text svg;
    text_init(&svg, 1 << 20);
    plot_svg(&plot, &svg);
    assert_int_equal(count(text_string(&svg), "<polyline"), 2);
    assert_int_equal(count(text_string(&svg), "gla prefill"), 2); /* in the legend and as a tooltip */
    assert_non_null(strstr(text_string(&svg), "</svg>"));
    text_release(&svg);
}

static void names_are_escaped(void **state)
{
    (void)state;
    const struct plot_point point = {1, 1, 1, 1};
    const struct plot_series series = {"a<b>&\"c\"", &point, 1};
    const struct plot plot = {"</title><script>", "x", "y", &series, 1};
    struct text svg;
    text_init(&svg, 1 << 20);
    plot_svg(&plot, &svg);
    assert_null(strstr(text_string(&svg), "<script>"));
    assert_non_null(strstr(text_string(&svg), "a&lt;b&gt;&amp;&quot;c&quot;"));
    text_release(&svg);
}

static void nothing_to_draw_is_a_picture_too(void **state)
{
    (void)state;
    const struct plot plot = {"Time", "length", "seconds", NULL, 0};
    struct text svg;
    text_init(&svg, 1 << 20);
    plot_svg(&plot, &svg);
    assert_null(strstr(text_string(&svg), "nan"));
    assert_null(strstr(text_string(&svg), "inf"));
    text_release(&svg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_series_is_drawn_and_named),
        cmocka_unit_test(names_are_escaped),
        cmocka_unit_test(nothing_to_draw_is_a_picture_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
