#include "base/suggest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const names[] = {"mamba", "mamba2", "retnet", "gla", "glu", "linear-transformer"};
enum { NAMES = sizeof names / sizeof *names };

static void finds_the_nearest(void **state)
{
    assert_string_equal(suggest_name("mamba3", names, NAMES), "mamba2"); /* a tie goes to the nearer length */
    assert_string_equal(suggest_name("glx", names, NAMES), "gla");       /* then to the first */
    assert_string_equal(suggest_name("mabma2", names, NAMES), "mamba2");
    assert_string_equal(suggest_name("ertnet", names, NAMES), "retnet");
    assert_string_equal(suggest_name("RetNet", names, NAMES), "retnet");
    assert_string_equal(suggest_name("gal", names, NAMES), "gla"); /* a swap is one edit */
    assert_string_equal(suggest_name("liner-tranformer", names, NAMES), "linear-transformer");
}

static void suggests_nothing_far_off(void **state)
{
    assert_null(suggest_name("transformer-xl", names, NAMES));
    assert_null(suggest_name("qqq", names, NAMES));
    assert_null(suggest_name("", names, NAMES));
    assert_null(suggest_name("mamba", names, 0));
    assert_null(suggest_name("xy", (const char *const[]){"ab"}, 1)); /* within two edits, nothing in common */
}

static void survives_enormous_names(void **state)
{
    size_t length = 1 << 20;
    char *wrong = malloc(length + 1);
    memset(wrong, 'm', length);
    wrong[length] = '\0';
    const char *const pair[] = {wrong, "mamba"};
    assert_null(suggest_name(wrong, names, NAMES));
    assert_string_equal(suggest_name("mamb", pair, 2), "mamba");
    struct error error = ERROR_INIT;
    assert_int_equal(suggest_error(&error, "variant", wrong, names, NAMES), STATUS_USAGE);
    assert_true(strlen(error.message) < 300);
    free(wrong);
}

static void the_error_names_the_nearest_or_lists_all(void **state)
{
    struct error error = ERROR_INIT;
    suggest_error(&error, "variant", "retmet", names, NAMES);
    assert_string_equal(error.message, "unknown variant 'retmet': did you mean 'retnet'?");
    suggest_error(&error, "kind", "zzzzzz", names, 2);
    assert_string_equal(error.message, "unknown kind 'zzzzzz': one of mamba, mamba2");
    const char *many[13];
    for (size_t i = 0; i < 13; i++)
        many[i] = "mamba";
    suggest_error(&error, "kind", "zzzzzz", many, 13);
    assert_string_equal(error.message, "unknown kind 'zzzzzz'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_nearest),
        cmocka_unit_test(suggests_nothing_far_off),
        cmocka_unit_test(survives_enormous_names),
        cmocka_unit_test(the_error_names_the_nearest_or_lists_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
