#include "pictures.h"
#include "render/metric.h"
#include <string.h>

static void widths_are_those_of_helvetica(void **state)
{
    assert_float_equal(metric_width("", 10, false), 0, 1e-12);
    assert_float_equal(metric_width("A", 10, false), 6.67, 1e-12);
    assert_float_equal(metric_width("A", 10, true), 7.22, 1e-12);
    assert_float_equal(metric_width("il", 1000, false), 444, 1e-9);
}

static void other_scripts_have_widths_too(void **state)
{
    assert_float_equal(metric_width("\xC3\xA9", 1000, false), 556, 1e-9);      /* e with an accent: as e */
    assert_float_equal(metric_width("\xC2\xB2", 1000, false), 600, 1e-9);      /* superscript two */
    assert_float_equal(metric_width("\xE6\xBC\xA2", 1000, false), 1000, 1e-9); /* a wide character */
    assert_float_equal(metric_width("e\xCC\x81", 1000, false), 556, 1e-9);     /* a combining accent: none */
    assert_float_equal(metric_width("\xFF\xFE", 1000, false), 2 * 556,
                       1e-9); /* bytes that are none: as '?' */
}

static const char *wrapped(const char *text, double width)
{
    struct text_lines lines = metric_wrap(text, 10, false, width, &arena);
    const char *joined = "";
    for (size_t i = 0; i < lines.count; i++) {
        joined = arena_format(&arena, "%s%s%s", joined, i ? "|" : "", lines.lines[i]);
        assert_true(metric_width(lines.lines[i], 10, false) <= lines.width);
    }
    return joined;
}

static void breaks_where_a_reader_would(void **state)
{
    assert_string_equal(wrapped("one two three", 1000), "one two three");
    assert_string_equal(wrapped("one two three", 40), "one two|three");
    assert_string_equal(wrapped("one two three", 1), "one|two|three");
    assert_string_equal(wrapped("Translation-equivariant", 60), "Translation-|equivariant");
    assert_string_equal(wrapped("read/write", 20), "read/|write");
    assert_string_equal(wrapped("  one   two ", 1000), "one   two");
    assert_string_equal(wrapped("", 10), "");
    assert_string_equal(wrapped("unbreakable", 5), "unbreakable");
    assert_string_equal(wrapped("-x", 1), "-x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ARENA(widths_are_those_of_helvetica),
        WITH_ARENA(other_scripts_have_widths_too),
        WITH_ARENA(breaks_where_a_reader_would),
    };
    return cmocka_run_group_tests_name("metric", tests, NULL, NULL);
}
