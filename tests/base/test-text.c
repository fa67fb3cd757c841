#include "base/text.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void grows(void **state)
{
    struct text text;
    text_init(&text, 100000);
    assert_string_equal(text_string(&text), "");
    for (int i = 0; i < 10000; i++)
        assert_true(text_format(&text, "%d,", i % 10));
    assert_int_equal(text.length, 20000);
    assert_memory_equal(text_string(&text), "0,1,2,3,4,5,6,7,8,9,0,", 22);
    assert_int_equal(strlen(text_string(&text)), 20000);
    text_release(&text);
}

static void holds_exactly_its_maximum(void **state)
{
    struct text text;
    text_init(&text, 5);
    assert_true(text_append(&text, "abc"));
    assert_true(text_append(&text, "de"));
    assert_string_equal(text_string(&text), "abcde");
    assert_true(text_append(&text, ""));
    assert_false(text_append(&text, "f"));
    assert_true(text.failed);
    assert_null(text.data);
    assert_string_equal(text_string(&text), "");
    assert_false(text_append(&text, "a")); /* a gap would be worse than an end */
    text_clear(&text);
    assert_true(text_append(&text, "again"));
    assert_string_equal(text_string(&text), "again");
    assert_false(text_format(&text, "%d", 1));
    text_release(&text);
}

static void gives_itself_away(void **state)
{
    struct text text;
    text_init(&text, 100);
    char *empty = text_take(&text);
    assert_string_equal(empty, "");
    text_append_bytes(&text, "a\0b", 3);
    char *taken = text_take(&text);
    assert_memory_equal(taken, "a\0b", 4);
    assert_int_equal(text.length, 0);
    assert_string_equal(text_string(&text), "");
    free(empty);
    free(taken);
}

static void clearing_keeps_the_memory(void **state)
{
    struct text text;
    text_init(&text, 100);
    text_append(&text, "content");
    char *data = text.data;
    text_clear(&text);
    assert_string_equal(text_string(&text), "");
    assert_ptr_equal(text.data, data);
    text_release(&text);
    assert_int_equal(text.maximum, 100);
}

static void finds_where_utf8_breaks(void **state)
{
    static const struct {
        const char *bytes;
        size_t length, prefix;
    } cases[] = {
        {"", 0, 0},
        {"plain", 5, 5},
        {"é€😀", 9, 9},
        {"a\x80", 2, 1},            /* continuation without a start */
        {"a\xc3", 2, 1},            /* cut */
        {"\xe2\x82", 2, 0},         /* cut */
        {"\xf0\x9f\x98", 3, 0},     /* cut */
        {"\xc0\xaf", 2, 0},         /* overlong */
        {"\xe0\x80\xaf", 3, 0},     /* overlong */
        {"\xed\xa0\x80", 3, 0},     /* surrogate */
        {"\xf4\x90\x80\x80", 4, 0}, /* past U+10FFFF */
        {"ok\xff", 3, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(utf8_prefix(cases[i].bytes, cases[i].length), cases[i].prefix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows),
        cmocka_unit_test(holds_exactly_its_maximum),
        cmocka_unit_test(gives_itself_away),
        cmocka_unit_test(clearing_keeps_the_memory),
        cmocka_unit_test(finds_where_utf8_breaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
