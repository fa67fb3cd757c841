/* Options of kernels: values as typed and as JSON, checked against what the kernel declares. */
#include "block/settings.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct kernel kernel = {
    .name = "tested",
    .options =
        OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"), REAL_OPTION("expand", 2.5, 0, 16, "of width"),
                FLAG_OPTION("bias", 1, "has biases"), CHOICE_OPTION("activation", "silu|gelu|relu", "of it"),
                LIST_OPTION("windows", "8,16", 1, 64, "one a group")),
};

struct fixture {
    struct settings settings;
    struct error error;
    char text[4 * OPTION_LIST_MAXIMUM];
};

static int set_up(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof fixture);
    settings_init(&fixture.settings, &kernel);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    settings_release(&f->settings);
    return 0;
}

static const char *text_of(struct fixture *f, const char *name)
{
    return settings_text(&f->settings, name, f->text, sizeof f->text);
}

static void expect_text(struct fixture *f, const char *name, const char *typed, const char *stored)
{
    if (settings_set_text(&f->settings, name, typed, &f->error))
        fail_msg("%s", f->error.message);
    assert_string_equal(text_of(f, name), stored);
}

static void expect_refused(struct fixture *f, const char *name, const char *typed, const char *message)
{
    char before[128] = "";
    if (settings_has(&kernel, name))
        settings_text(&f->settings, name, before, sizeof before);
    assert_int_equal(settings_set_text(&f->settings, name, typed, &f->error), STATUS_USAGE);
    assert_string_equal(f->error.message, message);
    f->error.status = STATUS_OK;
}

static void expect_json(struct fixture *f, const char *name, const char *json, const char *stored)
{
    cJSON *value = cJSON_Parse(json);
    if (settings_set_json(&f->settings, name, value, &f->error))
        fail_msg("%s", f->error.message);
    cJSON_Delete(value);
    assert_string_equal(text_of(f, name), stored);
}

static void expect_json_refused(struct fixture *f, const char *name, const char *json, const char *message)
{
    cJSON *value = cJSON_Parse(json);
    assert_int_equal(settings_set_json(&f->settings, name, value, &f->error), STATUS_USAGE);
    cJSON_Delete(value);
    assert_string_equal(f->error.message, message);
}

static void starts_with_the_defaults(void **state)
{
    assert_string_equal(text_of(*state, "heads"), "8");
    assert_string_equal(text_of(*state, "expand"), "2.5");
    assert_string_equal(text_of(*state, "bias"), "true");
    assert_string_equal(text_of(*state, "activation"), "silu");
    assert_string_equal(text_of(*state, "windows"), "8,16");
}

static void takes_values_as_typed(void **state)
{
    expect_text(*state, "heads", "16", "16");
    expect_text(*state, "expand", "1.25", "1.25");
    expect_text(*state, "bias", "false", "false");
    expect_text(*state, "bias", "1", "true");
    expect_text(*state, "activation", "relu", "relu");
    expect_text(*state, "windows", "64", "64");
    expect_text(*state, "windows", "1,2,3", "1,2,3");
    expect_text(*state, "windows", "", "");
}

static void takes_values_as_json(void **state)
{
    expect_json(*state, "heads", "4", "4");
    expect_json(*state, "expand", "3", "3");
    expect_json(*state, "bias", "false", "false");
    expect_json(*state, "activation", "\"gelu\"", "gelu");
    expect_json(*state, "windows", "[4, 2.5]", "4,2.5");
    expect_json(*state, "windows", "[]", "");
}

static void refuses_what_does_not_fit(void **state)
{
    expect_refused(*state, "haeds", "4", "kernel 'tested': unknown option 'haeds': did you mean 'heads'?");
    expect_refused(*state, "heads", "0", "kernel 'tested': option 'heads' is from 1 to 1024, not 0");
    expect_refused(*state, "heads", "2.5", "kernel 'tested': option 'heads' is a whole number, not 2.5");
    expect_refused(*state, "heads", "many", "kernel 'tested': option 'heads' is a whole number, not 'many'");
    expect_refused(*state, "heads", "", "kernel 'tested': option 'heads' is a whole number, not ''");
    expect_refused(*state, "expand", "nan", "kernel 'tested': option 'expand' is from 0 to 16, not nan");
    expect_refused(*state, "activation", "swish",
                   "kernel 'tested': option 'activation' is one of silu|gelu|relu, not 'swish'");
    expect_refused(*state, "windows", "8,,8",
                   "kernel 'tested': option 'windows' is a list of numbers, not '8,,8'");
    expect_refused(*state, "windows", "8,",
                   "kernel 'tested': option 'windows' is a list of numbers, not '8,'");
    expect_refused(*state, "windows", "8,65",
                   "kernel 'tested': entries of option 'windows' are from 1 to 64, not 65");
    starts_with_the_defaults(state);
}

static void refuses_other_types_of_json(void **state)
{
    expect_json_refused(*state, "heads", "true",
                        "kernel 'tested': option 'heads' is a whole number, not true or false");
    expect_json_refused(*state, "heads", "\"4\"",
                        "kernel 'tested': option 'heads' is a whole number, not another type");
    expect_json_refused(*state, "bias", "1", "kernel 'tested': option 'bias' is true or false, not a number");
    expect_json_refused(*state, "activation", "1",
                        "kernel 'tested': option 'activation' is a name, not another type");
    expect_json_refused(*state, "windows", "8",
                        "kernel 'tested': option 'windows' is a list of numbers, not another type");
    expect_json_refused(*state, "windows", "[8, \"a\"]",
                        "kernel 'tested': option 'windows' is a list of numbers, not a list of others");
    starts_with_the_defaults(state);
}

static void refuses_a_list_that_is_too_long(void **state)
{
    char typed[2 * OPTION_LIST_MAXIMUM + 3] = "";
    for (int i = 0; i < OPTION_LIST_MAXIMUM; i++)
        strcat(typed, i ? ",1" : "1");
    expect_text(*state, "windows", typed, typed);
    strcat(typed, ",1");
    struct fixture *f = *state;
    assert_int_equal(settings_set_text(&f->settings, "windows", typed, &f->error), STATUS_USAGE);
}

static void copies_are_apart(void **state)
{
    struct fixture *f = *state;
    struct settings copy;
    settings_copy(&copy, &f->settings);
    expect_text(f, "heads", "2", "2");
    assert_string_equal(settings_text(&copy, "heads", f->text, sizeof f->text), "8");
    settings_release(&copy);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(starts_with_the_defaults),
        TEST(takes_values_as_typed),
        TEST(takes_values_as_json),
        TEST(refuses_what_does_not_fit),
        TEST(refuses_other_types_of_json),
        TEST(refuses_a_list_that_is_too_long),
        TEST(copies_are_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
