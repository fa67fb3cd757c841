#include "base/json.h"
#include "catalog/rules.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void forms_accept_and_refuse(void **state)
{
    static const struct {
        enum form form;
        const char *text;
        bool matches;
    } cases[] = {
        {FORM_KEY, "gla", true},
        {FORM_KEY, "s4d-lin-2", true},
        {FORM_KEY, "", false},
        {FORM_KEY, "-gla", false},
        {FORM_KEY, "gla-", false},
        {FORM_KEY, "gla\n", false},
        {FORM_KEY, "gl a", false},
        {FORM_KEY, "gl\xc3\xa4", false},
        {FORM_DATE, "2024", true},
        {FORM_DATE, "2024-12", true},
        {FORM_DATE, "2000-02-29", true},
        {FORM_DATE, "1900-02-29", false},
        {FORM_DATE, "2023-02-29", false},
        {FORM_DATE, "2023-00", false},
        {FORM_DATE, "2023-06-31", false},
        {FORM_DATE, "1823", false},
        {FORM_DATE, "2023-06-3", false},
        {FORM_DATE, "2023-06-30T00:00", false},
        {FORM_ARXIV, "0704.0001", true},
        {FORM_ARXIV, "2312.06635", true},
        {FORM_ARXIV, "2312.066355", false},
        {FORM_ARXIV, "cmp-lg/9404001", true},
        {FORM_ARXIV, "math.GT/0309136", true},
        {FORM_DOI, "10.1162/neco.1997.9.8.1735", true},
        {FORM_DOI, "10.1000/a b", false},
        {FORM_ACL, "2023.emnlp-main.936", true},
        {FORM_ACL, "D14-1179", true},
        {FORM_ACL, "emnlp-main.936", false},
        {FORM_URL, "http://example.org/~x?y=1#z", true},
        {FORM_URL, "ftp://example.org", false},
        {FORM_URL, "https://", false},
        {FORM_OPTION, "kv_heads", true},
        {FORM_OPTION, "2heads", false},
        {FORM_COLOUR, "#00aAfF", true},
        {FORM_COLOUR, "#00aAf", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (form_matches(cases[i].form, cases[i].text) != cases[i].matches)
            fail_msg("form %d and '%s'", cases[i].form, cases[i].text);
}

static cJSON *schema;

static int load_schema(void **state)
{
    struct error error = ERROR_INIT;
    return json_parse_file(CLADE_SCHEMA, 1 << 20, &schema, &error);
}

static int release_schema(void **state)
{
    cJSON_Delete(schema);
    return 0;
}

/* A place in the schema: "properties.ids.properties". */
static const cJSON *at(const char *path)
{
    char part[64];
    const cJSON *value = schema;
    while (*path) {
        size_t length = strcspn(path, ".");
        snprintf(part, sizeof part, "%.*s", (int)length, path);
        value = cJSON_GetObjectItemCaseSensitive(value, part);
        assert_non_null(value);
        path += length + (path[length] == '.');
    }
    return value;
}

static void expect_properties(const char *path, const struct words *words)
{
    const cJSON *properties = at(path), *property;
    assert_int_equal(cJSON_GetArraySize(properties), words->count);
    cJSON_ArrayForEach(property, properties) assert_true(word_known(words, property->string));
}

/* An enum of the words, null, and `further` more. */
static void expect_enum(const char *path, const struct words *words, int further)
{
    const cJSON *choices = at(path), *choice;
    size_t known = 0;
    cJSON_ArrayForEach(choice, choices) known +=
        cJSON_IsString(choice) && word_known(words, choice->valuestring);
    assert_int_equal(known, words->count);
    assert_int_equal(cJSON_GetArraySize(choices), words->count + 1 + (size_t)further);
}

static void expect_pattern(const char *path, enum form form)
{
    assert_string_equal(at(path)->valuestring, rule_forms[form].pattern);
}

static void the_schema_says_what_the_loader_does(void **state)
{
    expect_properties("properties", &rule_variant_fields);
    expect_properties("properties.ids.properties", &rule_id_fields);
    expect_properties("properties.seeds.items.properties", &rule_seed_fields);
    expect_properties("properties.parents.items.properties", &rule_parent_fields);
    expect_properties("properties.references.items.properties", &rule_reference_fields);
    expect_properties("$defs.slots.properties", &rule_slots);
    expect_enum("properties.kind.enum", &rule_kinds, 0);
    expect_enum("properties.added.enum", &rule_added, 0);
    expect_enum("properties.references.items.properties.fidelity.enum", &rule_fidelities, 0);
    expect_enum("properties.references.items.properties.slot.enum", &rule_slots, 1); /* "block" */
    expect_pattern("$defs.key.pattern", FORM_KEY);
    expect_pattern("$defs.optionalKey.pattern", FORM_KEY);
    expect_pattern("$defs.filling.propertyNames.pattern", FORM_OPTION);
    expect_pattern("properties.date.pattern", FORM_DATE);
    expect_pattern("properties.ids.properties.s2.pattern", FORM_S2);
    expect_pattern("properties.ids.properties.arxiv.pattern", FORM_ARXIV);
    expect_pattern("properties.ids.properties.doi.pattern", FORM_DOI);
    expect_pattern("properties.ids.properties.acl.pattern", FORM_ACL);
    expect_pattern("properties.code.items.pattern", FORM_URL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_accept_and_refuse),
        cmocka_unit_test_setup_teardown(the_schema_says_what_the_loader_does, load_schema, release_schema),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
