#include "base/json.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A document and what is said of it: NULL where it is accepted, else the message after the file's name. */
struct verdict {
    const char *data;
    size_t length;
    const char *message;
};
#define ACCEPTED(data)              \
    {                               \
        data, sizeof data - 1, NULL \
    }
#define REFUSED(data, message)         \
    {                                  \
        data, sizeof data - 1, message \
    }

static const struct verdict verdicts[] = {
    ACCEPTED("null"),
    ACCEPTED("true"),
    ACCEPTED("false"),
    ACCEPTED("0"),
    ACCEPTED("-0"),
    ACCEPTED("\"\""),
    ACCEPTED("[]"),
    ACCEPTED("{}"),
    ACCEPTED(" \t\r\n[ 1 , 2 ]\n"),
    ACCEPTED("-12.50e+3"),
    ACCEPTED("1E-7"),
    ACCEPTED("1e-400"), /* zero to rounding */
    ACCEPTED("9007199254740992"),
    ACCEPTED("-9007199254740992"),
    ACCEPTED("1e308"),
    ACCEPTED("12345678901234567890.0"), /* not written as a whole number */
    ACCEPTED("[null, true, {\"a\": [{}]}]"),
    ACCEPTED("{\"a\": 1, \"A\": 2, \"\": 3}"),
    ACCEPTED("[{\"a\": 1}, {\"a\": 2}]"),
    ACCEPTED("{\"a\": {\"a\": {\"a\": 1}}}"),
    ACCEPTED("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
    ACCEPTED("\"\\u00e9 \\ud83d\\ude00 \\uFFFD\""),
    ACCEPTED("\"é 😀 \x7f\""),
    ACCEPTED("\"\\u0001\""),
    REFUSED("", "1:1: expected a value, found the end"),
    REFUSED("   ", "1:4: expected a value, found the end"),
    REFUSED("nul", "1:1: expected a value, found 'n'"),
    REFUSED("True", "1:1: expected a value, found 'T'"),
    REFUSED("NaN", "1:1: expected a value, found 'N'"),
    REFUSED("Infinity", "1:1: expected a value, found 'I'"),
    REFUSED("nullnull", "1:5: expected the end, found 'n'"),
    REFUSED("{} x", "1:4: expected the end, found 'x'"),
    REFUSED("[1]]", "1:4: expected the end, found ']'"),
    REFUSED("{}\0", "1:3: expected the end, found byte 0x00"),
    REFUSED("\xef\xbb\xbf{}", "1:1: expected a value, found byte 0xef"),
    REFUSED("// no\n{}", "1:1: expected a value, found '/'"),
    REFUSED("[1,]", "1:4: expected a value, found ']'"),
    REFUSED("[,1]", "1:2: expected a value, found ','"),
    REFUSED("[1 2]", "1:4: expected ',' or ']', found '2'"),
    REFUSED("[1", "1:3: expected ',' or ']', found the end"),
    REFUSED("{\"a\":1,}", "1:8: expected a string, found '}'"),
    REFUSED("{\"a\" 1}", "1:6: expected ':', found '1'"),
    REFUSED("{\"a\":}", "1:6: expected a value, found '}'"),
    REFUSED("{\"a\":1", "1:7: expected ',' or '}', found the end"),
    REFUSED("{a: 1}", "1:2: expected a string, found 'a'"),
    REFUSED("{'a': 1}", "1:2: expected a string, found '''"),
    REFUSED("{1: 1}", "1:2: expected a string, found '1'"),
    REFUSED("{\"a\": 1,\n \"b\": 2,\n \"a\": 3}", "3:2: duplicate key 'a'"),
    REFUSED("{\"a\": 1, \"\\u0061\": 2}", "1:10: duplicate key 'a'"),
    REFUSED("[0, {\"x\": {\"é\": 1, \"b\": {\"b\": 1}, \"é\": 2}}]", "1:35: duplicate key 'é'"),
    REFUSED("01", "1:1: number with a leading zero"),
    REFUSED("-01", "1:1: number with a leading zero"),
    REFUSED("+1", "1:1: expected a value, found '+'"),
    REFUSED(".5", "1:1: expected a value, found '.'"),
    REFUSED("1.", "1:3: expected a digit, found the end"),
    REFUSED("1e", "1:3: expected a digit, found the end"),
    REFUSED("-", "1:2: expected a digit, found the end"),
    REFUSED("0x10", "1:2: expected the end, found 'x'"),
    REFUSED("1e999", "1:1: number '1e999' is out of range"),
    REFUSED("[-1e999]", "1:2: number '-1e999' is out of range"),
    REFUSED("9007199254740993", "1:1: whole number '9007199254740993' is past 2^53"),
    REFUSED("-10000000000000000", "1:1: whole number '-10000000000000000' is past 2^53"),
    REFUSED("0.0000000000000000000000000000000000000000000000000000000000000001",
            "1:1: number longer than 63 characters"),
    REFUSED("\"abc", "1:1: string without an end"),
    REFUSED("\"\\\"", "1:1: string without an end"),
    REFUSED("\"a\nb\"", "1:3: control character 0x0a in a string"),
    REFUSED("\"a\0b\"", "1:3: control character 0x00 in a string"),
    REFUSED("\"\\x\"", "1:3: expected an escape, found 'x'"),
    REFUSED("\"\\u12g4\"", "1:6: expected a hexadecimal digit, found 'g'"),
    REFUSED("\"\\u0000\"", "1:2: escaped NUL in a string"),
    REFUSED("\"\\ud83d\"", "1:2: lone surrogate in a string"),
    REFUSED("\"\\ude00\"", "1:2: lone surrogate in a string"),
    REFUSED("\"\\ud83d\\u0041\"", "1:2: lone surrogate in a string"),
    REFUSED("\"\xff\"", "1:2: invalid UTF-8"),
    REFUSED("\"\xc0\xaf\"", "1:2: invalid UTF-8"),
    REFUSED("\"\xed\xa0\x80\"", "1:2: invalid UTF-8"),
    REFUSED("[\"é\",\n\"\xf0\x9f\"]", "2:2: invalid UTF-8"),
};

static void judges_documents(void **state)
{
    for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++) {
        const struct verdict *verdict = &verdicts[i];
        /* an exact copy on the heap lets the sanitizer see a read past the end */
        char *data = malloc(verdict->length ? verdict->length : 1);
        memcpy(data, verdict->data, verdict->length);
        struct error error = ERROR_INIT;
        cJSON *document = NULL;
        enum status status = json_parse("f", data, verdict->length, &document, &error);
        char expected[256] = "";
        if (verdict->message)
            snprintf(expected, sizeof expected, "f:%s", verdict->message);
        assert_string_equal(error.message, expected);
        assert_int_equal(status, verdict->message ? STATUS_OUTSIDE : STATUS_OK);
        assert_true((document != NULL) == (verdict->message == NULL));
        cJSON_Delete(document);
        free(data);
    }
}

static void limits_nesting(void **state)
{
    char data[200];
    struct error error = ERROR_INIT;
    cJSON *document = NULL;
    memset(data, '[', 64);
    memset(data + 64, ']', 64);
    assert_int_equal(json_parse("f", data, 128, &document, &error), STATUS_OK);
    cJSON_Delete(document);
    memset(data, '[', 65);
    assert_int_equal(json_parse("f", data, 65, &document, &error), STATUS_OUTSIDE);
    assert_string_equal(error.message, "f:1:65: nesting deeper than 64");
}

/* Every prefix of a good document is refused, none is read past its end. */
static void refuses_every_truncation(void **state)
{
    static const char whole[] =
        "{\"key\": \"gla\", \"n\": [1, -2.5e3, true, null], \"é\": \"\\ud83d\\ude00\\n\"}";
    for (size_t length = 0; length < sizeof whole - 1; length++) {
        char *data = malloc(length ? length : 1);
        memcpy(data, whole, length);
        struct error error = ERROR_INIT;
        cJSON *document = NULL;
        assert_int_equal(json_parse("f", data, length, &document, &error), STATUS_OUTSIDE);
        assert_null(document);
        free(data);
    }
}

static void finds_duplicates_among_many_keys_fast(void **state)
{
    size_t count = 100000, length = 1;
    char *data = malloc(count * 16);
    data[0] = '{';
    for (size_t i = 0; i < count; i++)
        length += (size_t)sprintf(data + length, "\"%zu\":0,", i);
    length += (size_t)sprintf(data + length, "\"77\":1}");
    struct error error = ERROR_INIT;
    cJSON *document = NULL;
    assert_int_equal(json_parse("f", data, length, &document, &error), STATUS_OUTSIDE);
    assert_non_null(strstr(error.message, "duplicate key '77'"));
    free(data);
}

static cJSON *parse(const char *data)
{
    struct error error = ERROR_INIT;
    cJSON *document = NULL;
    assert_int_equal(json_parse("f", data, strlen(data), &document, &error), STATUS_OK);
    return document;
}

static void readers_name_file_and_path(void **state)
{
    cJSON *document = parse("{\"a\": {\"b\": [1, \"x\", null, 2.5, true]}, \"n\": null}");
    struct json_at root = json_root(document, "gla.json");
    struct json_at a = json_member(&root, "a"), b = json_member(&a, "b");
    struct error error = ERROR_INIT;
    const char *string = NULL;
    int64_t integer = 0;
    double real = 0;
    bool flag = false;
    int count = 0;

    struct json_at first = json_element(&b, 0), second = json_element(&b, 1), fourth = json_element(&b, 3),
                   fifth = json_element(&b, 4), none = json_element(&b, 9);
    assert_int_equal(json_array(&b, &count, &error), STATUS_OK);
    assert_int_equal(count, 5);
    assert_int_equal(json_integer(&first, 0, 1, &integer, &error), STATUS_OK);
    assert_int_equal(integer, 1);
    assert_int_equal(json_string(&second, &string, &error), STATUS_OK);
    assert_string_equal(string, "x");
    assert_int_equal(json_real(&fourth, &real, &error), STATUS_OK);
    assert_true(real == 2.5);
    assert_int_equal(json_flag(&fifth, &flag, &error), STATUS_OK);
    assert_true(flag);
    assert_int_equal(json_object(&root, &error), STATUS_OK);
    assert_int_equal(error.status, STATUS_OK);

    assert_int_equal(json_string(&first, &string, &error), STATUS_OUTSIDE);
    assert_string_equal(error.message, "gla.json: a.b[0]: expected a string, found a number");
    json_integer(&fourth, 1, 8, &integer, &error);
    assert_string_equal(error.message, "gla.json: a.b[3]: expected a whole number from 1 to 8, found 2.5");
    json_integer(&first, 2, 8, &integer, &error);
    assert_string_equal(error.message, "gla.json: a.b[0]: expected a whole number from 2 to 8, found 1");
    json_flag(&none, &flag, &error);
    assert_string_equal(error.message, "gla.json: a.b[9]: expected true or false, found nothing");
    json_array(&root, &count, &error);
    assert_string_equal(error.message, "gla.json: expected an array, found an object");
    json_real(&fifth, &real, &error);
    assert_string_equal(error.message, "gla.json: a.b[4]: expected a number, found true");
    cJSON_Delete(document);
}

static void integers_cover_their_whole_range(void **state)
{
    cJSON *document = parse("[9007199254740992, -9007199254740992, 1e300, 9223372036854775808.0]");
    struct json_at root = json_root(document, "f");
    struct error error = ERROR_INIT;
    int64_t value = 0;
    struct json_at at = json_element(&root, 0);
    assert_int_equal(json_integer(&at, INT64_MIN, INT64_MAX, &value, &error), STATUS_OK);
    assert_true(value == 9007199254740992);
    at = json_element(&root, 1);
    assert_int_equal(json_integer(&at, INT64_MIN, INT64_MAX, &value, &error), STATUS_OK);
    assert_true(value == -9007199254740992);
    at = json_element(&root, 2);
    assert_int_equal(json_integer(&at, INT64_MIN, INT64_MAX, &value, &error), STATUS_OUTSIDE);
    at = json_element(&root, 3);
    assert_int_equal(json_integer(&at, INT64_MIN, INT64_MAX, &value, &error), STATUS_OUTSIDE);
    cJSON_Delete(document);
}

static void absence_is_missing_or_null(void **state)
{
    cJSON *document = parse("{\"null\": null, \"zero\": 0}");
    struct json_at root = json_root(document, "f");
    struct json_at null = json_member(&root, "null"), zero = json_member(&root, "zero");
    struct json_at missing = json_member(&root, "missing"), below = json_member(&missing, "deeper");
    assert_true(json_absent(&null));
    assert_false(json_absent(&zero));
    assert_true(json_absent(&missing));
    assert_true(json_absent(&below));
    assert_string_equal(below.path, "missing.deeper");
    cJSON_Delete(document);
}

static void unknown_fields_get_a_suggestion(void **state)
{
    static const char *const fields[] = {"mixer", "norm", "ffn"};
    cJSON *document = parse("{\"c\": {\"norm\": 1, \"mixr\": 2}, \"d\": {\"ffn\": 0}, \"e\": {\"Norm\": 1}}");
    struct json_at root = json_root(document, "f");
    struct json_at c = json_member(&root, "c"), d = json_member(&root, "d"), e = json_member(&root, "e");
    struct error error = ERROR_INIT;
    assert_int_equal(json_only(&d, fields, 3, &error), STATUS_OK);
    assert_int_equal(json_only(&c, fields, 3, &error), STATUS_OUTSIDE);
    assert_string_equal(error.message, "f: c: unknown field 'mixr': did you mean 'mixer'?");
    assert_int_equal(json_only(&e, fields, 3, &error), STATUS_OUTSIDE);
    assert_string_equal(error.message, "f: e: unknown field 'Norm': did you mean 'norm'?");
    cJSON_Delete(document);
}

static void long_paths_are_cut(void **state)
{
    cJSON *document = parse("1");
    struct json_at at = json_root(document, "f");
    for (int i = 0; i < 200; i++)
        at = json_member(&at, "é");
    assert_true(strlen(at.path) < sizeof at.path);
    assert_memory_equal(at.path, "é.é.", 6);
    struct error error = ERROR_INIT;
    assert_int_equal(json_error(&at, &error, "wrong"), STATUS_OUTSIDE);
    assert_null(strchr(error.message, '?')); /* no half character was left */
    cJSON_Delete(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges_documents),           cmocka_unit_test(limits_nesting),
        cmocka_unit_test(refuses_every_truncation),   cmocka_unit_test(finds_duplicates_among_many_keys_fast),
        cmocka_unit_test(readers_name_file_and_path), cmocka_unit_test(integers_cover_their_whole_range),
        cmocka_unit_test(absence_is_missing_or_null), cmocka_unit_test(unknown_fields_get_a_suggestion),
        cmocka_unit_test(long_paths_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
