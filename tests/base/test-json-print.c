#include "base/json.h"
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *print(cJSON *document, enum status (*printer)(const cJSON *, struct text *, struct error *))
{
    struct text text;
    struct error error = ERROR_INIT;
    text_init(&text, 1 << 20);
    assert_int_equal(printer(document, &text, &error), STATUS_OK);
    cJSON_Delete(document);
    return text_take(&text);
}

static void expect_line(cJSON *document, const char *expected)
{
    char *line = print(document, json_print_line);
    assert_string_equal(line, expected);
    free(line);
}

static void indents_by_two(void **state)
{
    char *text = print(cJSON_Parse("{\"a\":[1,{}],\"b\":{\"c\":[]},\"d\":null}"), json_print);
    assert_string_equal(
        text, "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": {\n    \"c\": []\n  },\n  \"d\": null\n}\n");
    free(text);
}

static void prints_one_line(void **state)
{
    expect_line(cJSON_Parse("{\"a\":[1,{}],\"b\":true,\"c\":false}"),
                "{\"a\": [1, {}], \"b\": true, \"c\": false}");
}

static void numbers_are_short_and_read_back(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0, "0"},
        {-0.0, "-0"},
        {3, "3"},
        {-12, "-12"},
        {1e15, "1000000000000000"},
        {9007199254740992, "9007199254740992"},
        {1e20, "1e+20"},
        {0.1, "0.1"},
        {1.0 / 3, "0.3333333333333333"},
        {2.5e-8, "2.5e-08"},
        {9007199254740994, "9007199254740994.0"},
        {0.1 + 0.2, "0.30000000000000004"},
        {DBL_MAX, "1.7976931348623157e+308"},
        {4.9406564584124654e-324, "5e-324"},
        {NAN, "null"},
        {INFINITY, "null"},
        {-INFINITY, "null"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect_line(cJSON_CreateNumber(cases[i].value), cases[i].text);
        if (isfinite(cases[i].value))
            assert_true(strtod(cases[i].text, NULL) == cases[i].value);
    }
    expect_line(json_number_or_null(NAN), "null");
    expect_line(json_number_or_null(1.5), "1.5");
}

static void escapes_strings(void **state)
{
    expect_line(cJSON_CreateString("\"\\/\b\f\n\r\t\x01\x1f\x7f é😀"),
                "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f é😀\"");
    expect_line(cJSON_CreateString("a\xff"
                                   "b\xc3"),
                "\"a\xef\xbf\xbd"
                "b\xef\xbf\xbd\"");
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNullToObject(object, "a\"b");
    expect_line(object, "{\"a\\\"b\": null}");
}

static void what_is_printed_parses_to_the_same(void **state)
{
    static const char source[] =
        "{\"s\": \"q\\\"\\\\\\u0001 é\", \"n\": [0.1, -3, 1e-300, 12345.678], \"e\": [[], {}]}";
    struct error error = ERROR_INIT;
    cJSON *document = NULL, *again = NULL;
    assert_int_equal(json_parse("f", source, sizeof source - 1, &document, &error), STATUS_OK);
    struct text text;
    text_init(&text, 1000);
    assert_int_equal(json_print(document, &text, &error), STATUS_OK);
    assert_int_equal(json_parse("f", text.data, text.length, &again, &error), STATUS_OK);
    assert_true(cJSON_Compare(document, again, true));
    cJSON_Delete(document);
    cJSON_Delete(again);
    text_release(&text);
}

static void a_document_past_the_maximum_is_an_error(void **state)
{
    struct text text;
    struct error error = ERROR_INIT;
    text_init(&text, 5);
    cJSON *document = cJSON_CreateString("too long");
    assert_int_equal(json_print(document, &text, &error), STATUS_OUTSIDE);
    assert_string_equal(error.message, "document is larger than 5 bytes");
    cJSON_Delete(document);
    text_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(indents_by_two),
        cmocka_unit_test(prints_one_line),
        cmocka_unit_test(numbers_are_short_and_read_back),
        cmocka_unit_test(escapes_strings),
        cmocka_unit_test(what_is_printed_parses_to_the_same),
        cmocka_unit_test(a_document_past_the_maximum_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
