#include "base/json.h"
#include "catalog/entry.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Entries that break one rule each: tests/data/entries.json. tests/peers/variant-schema.py holds the JSON
 * Schema against the same. */
static cJSON *load_cases(void)
{
    struct error error = ERROR_INIT;
    cJSON *document = NULL;
    enum status status = json_parse_file(CLADE_TEST_DATA "/entries.json", 1 << 20, &document, &error);
    assert_string_equal(error.message, "");
    assert_int_equal(status, STATUS_OK);
    return document;
}

/* The base with the members of "set" replaced and those of "drop" gone. */
static cJSON *make_entry(const cJSON *base, const cJSON *test)
{
    cJSON *entry = cJSON_Duplicate(base, true);
    const cJSON *change;
    cJSON_ArrayForEach(change, cJSON_GetObjectItem(test, "drop"))
        cJSON_DeleteItemFromObjectCaseSensitive(entry, change->valuestring);
    cJSON_ArrayForEach(change, cJSON_GetObjectItem(test, "set"))
    {
        cJSON_DeleteItemFromObjectCaseSensitive(entry, change->string);
        cJSON_AddItemToObject(entry, change->string, cJSON_Duplicate(change, true));
    }
    return entry;
}

static enum status parse_tree(const cJSON *entry, struct arena *arena, struct variant *variant,
                              struct error *error)
{
    struct text text;
    text_init(&text, 1 << 20);
    assert_int_equal(json_print(entry, &text, error), STATUS_OK);
    enum status status = entry_parse("folder/x.json", text.data, text.length, arena, variant, error);
    text_release(&text);
    return status;
}

static void each_rule_is_kept_and_named(void **state)
{
    cJSON *document = load_cases();
    const cJSON *base = cJSON_GetObjectItem(document, "base"), *test;
    int count = 0;
    cJSON_ArrayForEach(test, cJSON_GetObjectItem(document, "cases"))
    {
        struct arena arena = ARENA_INIT;
        struct error error = ERROR_INIT;
        struct variant variant;
        cJSON *entry = make_entry(base, test);
        const char *message = cJSON_GetStringValue(cJSON_GetObjectItem(test, "message"));
        char expected[512] = "";
        if (message) /* messages about the whole entry have no path */
            snprintf(expected, sizeof expected, "folder/x.json: %s", message);
        enum status status = parse_tree(entry, &arena, &variant, &error);
        assert_string_equal(error.message, expected);
        assert_int_equal(status, message ? STATUS_OUTSIDE : STATUS_OK);
        cJSON_Delete(entry);
        arena_release(&arena);
        count++;
    }
    assert_true(count > 100);
    cJSON_Delete(document);
}

static void a_good_entry_is_read_whole(void **state)
{
    static const char text[] =
        "{\"key\": \"x\", \"name\": \"X\", \"title\": \"T\", \"authors\": [\"A\", \"B\"], \"year\": 2023,"
        " \"date\": \"2023-12-11\", \"venue\": \"V\", \"ids\": {\"arxiv\": \"2312.06635\", \"doi\": null},"
        " \"code\": [\"https://e.org\"], \"seeds\": [{\"list\": \"l\", \"part\": \"p\", \"number\": 7}],"
        " \"kind\": \"study\", \"family\": \"f\", \"summary\": \"S\", \"suite\": [\"a\"],"
        " \"composition\": {\"pattern\": [{\"name\": \"one\", \"mixer\": {\"kernel\": \"k\", \"heads\": 4, "
        "\"rate\": 0.5}},"
        "   {\"name\": \"two\", \"mixer\": {\"kernel\": null, \"planned\": \"q\"}, \"ffn\": {\"kernel\": "
        "\"m\"}}]},"
        " \"parents\": [{\"key\": \"d\", \"changed\": \"c\"}, {\"key\": \"p\", \"primary\": true, "
        "\"exception\": \"e\"}],"
        " \"references\": [{\"set\": \"s\", \"slot\": \"block\", \"part\": \"two\", \"source\": \"o\","
        "   \"fidelity\": \"adapted\", \"options\": {\"n\": \"heads\"}, \"fixed\": {\"w\": 3}, \"weights\": "
        "{}}]}";
    struct arena arena = ARENA_INIT;
    struct error error = ERROR_INIT;
    struct variant v;
    entry_parse("x.json", text, strlen(text), &arena, &v, &error);
    assert_string_equal(error.message, "");
    assert_string_equal(v.key, "x");
    assert_string_equal(v.name, "X");
    assert_string_equal(v.title, "T");
    assert_int_equal(v.author_count, 2);
    assert_string_equal(v.authors[1], "B");
    assert_int_equal(v.year, 2023);
    assert_string_equal(v.date, "2023-12-11");
    assert_string_equal(v.venue, "V");
    assert_string_equal(v.arxiv, "2312.06635");
    assert_null(v.doi);
    assert_null(v.s2);
    assert_string_equal(v.code[0], "https://e.org");
    assert_int_equal(v.seeds[0].number, 7);
    assert_string_equal(v.kind, "study");
    assert_string_equal(v.suite[0], "a");
    assert_null(v.added);

    assert_int_equal(v.layer_count, 2);
    assert_string_equal(v.layers[0].name, "one");
    assert_string_equal(v.layers[0].slots[0].kernel, "k");
    assert_string_equal(v.layers[0].slots[0].options, "{\"heads\": 4, \"rate\": 0.5}");
    assert_int_equal(v.layers[1].slot_count, 2);
    assert_null(v.layers[1].slots[0].kernel);
    assert_string_equal(v.layers[1].slots[0].planned, "q");
    assert_string_equal(v.layers[1].slots[1].options, "{}");

    assert_int_equal(v.parent_count, 2);
    assert_false(v.parents[0].primary);
    assert_string_equal(v.parents[0].changed, "c");
    assert_true(v.parents[1].primary);
    assert_string_equal(v.parents[1].exception, "e");
    assert_string_equal(v.references[0].part, "two");
    assert_string_equal(v.references[0].options, "{\"n\": \"heads\"}");
    assert_string_equal(v.references[0].fixed, "{\"w\": 3}");
    assert_null(v.references[0].inputs);
    arena_release(&arena);
}

static void the_composition_comes_back_in_the_form_of_the_file(void **state)
{
    static const char *const compositions[] = {
        "{\"mixer\": {\"kernel\": \"a\", \"heads\": 4, \"list\": [1, \"b\"], \"flag\": true}, \"ffn\": "
        "{\"kernel\": null,"
        " \"planned\": \"b\", \"width\": 2}}",
        "{\"pattern\": [{\"name\": \"one\", \"mixer\": {\"kernel\": \"a\"}}, {\"name\": \"two\", \"ffn\": "
        "{\"kernel\":"
        " \"c\"}}]}",
    };
    for (size_t i = 0; i < 2; i++) {
        struct arena arena = ARENA_INIT;
        struct error error = ERROR_INIT;
        struct variant variant;
        char text[512];
        snprintf(text, sizeof text, "{\"key\": \"x\", \"added\": \"relative\", \"composition\": %s}",
                 compositions[i]);
        assert_int_equal(entry_parse("x.json", text, strlen(text), &arena, &variant, &error), STATUS_OK);
        cJSON *expected = cJSON_Parse(compositions[i]), *found = variant_composition(&variant);
        assert_true(cJSON_Compare(expected, found, true));
        cJSON_Delete(expected);
        cJSON_Delete(found);
        arena_release(&arena);
    }
    struct variant empty = {.key = "x"};
    assert_null(variant_composition(&empty));
}

/* Whatever a field holds, the answer is yes or one line that names the file. */
static void any_type_in_any_field_is_survived(void **state)
{
    static const char *const values[] = {"null", "0",      "-1",   "1e308", "\"\"",          "\"text\"", "[]",
                                         "[[]]", "[null]", "[{}]", "{}",    "{\"key\": {}}", "true"};
    cJSON *document = load_cases();
    const cJSON *base = cJSON_GetObjectItem(document, "base"), *field;
    int refused = 0;
    cJSON_ArrayForEach(field, base)
    {
        for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
            struct arena arena = ARENA_INIT;
            struct error error = ERROR_INIT;
            struct variant variant;
            cJSON *entry = cJSON_Duplicate(base, true);
            cJSON_ReplaceItemInObjectCaseSensitive(entry, field->string, cJSON_Parse(values[i]));
            if (parse_tree(entry, &arena, &variant, &error)) {
                static const char prefix[] = "folder/x.json: ";
                assert_memory_equal(error.message, prefix, strlen(prefix));
                refused++;
            }
            cJSON_Delete(entry);
            arena_release(&arena);
        }
    }
    assert_true(refused > 150);
    cJSON_Delete(document);
}

static void every_truncation_is_refused(void **state)
{
    cJSON *document = load_cases();
    struct text text;
    struct error error = ERROR_INIT;
    text_init(&text, 1 << 20);
    json_print_line(cJSON_GetObjectItem(document, "base"), &text, &error);
    for (size_t length = 0; length < text.length; length++) {
        struct arena arena = ARENA_INIT;
        struct variant variant;
        char *data = memory_copy(text.data, length); /* so that a read past the end is seen */
        assert_int_equal(entry_parse("x.json", data, length, &arena, &variant, &error), STATUS_OUTSIDE);
        free(data);
        arena_release(&arena);
    }
    text_release(&text);
    cJSON_Delete(document);
}

static void long_lists_are_refused_at_once(void **state)
{
    struct text text;
    struct error error = ERROR_INIT;
    struct arena arena = ARENA_INIT;
    struct variant variant;
    text_init(&text, 1 << 21);
    text_append(&text, "{\"key\": \"x\", \"added\": \"relative\", \"authors\": [\"0\"");
    for (int i = 1; i < 100000; i++)
        text_format(&text, ",\"%d\"", i);
    text_append(&text, "]}");
    entry_parse("x.json", text.data, text.length, &arena, &variant, &error);
    assert_string_equal(error.message, "x.json: authors: expected at most 2000 elements, found 100000");

    text_clear(&text);
    text_append(&text,
                "{\"key\": \"x\", \"added\": \"relative\", \"composition\": {\"mixer\": {\"kernel\": \"a\"");
    for (int i = 0; i < 100000; i++)
        text_format(&text, ",\"o%d\": 0", i);
    text_append(&text, "}}}");
    entry_parse("x.json", text.data, text.length, &arena, &variant, &error);
    assert_string_equal(error.message, "x.json: composition.mixer: expected at most 64 fields, found 100001");
    text_release(&text);
    arena_release(&arena);
}

static void summaries_are_counted_in_characters(void **state)
{
    struct error error = ERROR_INIT;
    struct arena arena = ARENA_INIT;
    struct variant variant;
    struct text text;
    text_init(&text, 1 << 20);
    for (int length = 400; length <= 401; length++) {
        text_clear(&text);
        text_append(&text, "{\"key\": \"x\", \"added\": \"relative\", \"summary\": \"");
        for (int i = 0; i < length; i++)
            text_append(&text, "é");
        text_append(&text, "\"}");
        entry_parse("x.json", text.data, text.length, &arena, &variant, &error);
        assert_string_equal(error.message,
                            length == 400 ? ""
                                          : "x.json: summary: expected at most 400 characters, found 401");
    }
    text_release(&text);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule_is_kept_and_named),
        cmocka_unit_test(a_good_entry_is_read_whole),
        cmocka_unit_test(the_composition_comes_back_in_the_form_of_the_file),
        cmocka_unit_test(any_type_in_any_field_is_survived),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(long_lists_are_refused_at_once),
        cmocka_unit_test(summaries_are_counted_in_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
