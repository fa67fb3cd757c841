#include "base/error.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void sets_status_and_message(void **state)
{
    struct error error = ERROR_INIT;
    assert_int_equal(error_set(&error, STATUS_USAGE, "width %d is odd", 7), STATUS_USAGE);
    assert_int_equal(error.status, STATUS_USAGE);
    assert_string_equal(error.message, "width 7 is odd");
}

static void prefixes_and_keeps_the_status(void **state)
{
    struct error error = ERROR_INIT;
    error_set(&error, STATUS_OUTSIDE, "no such file");
    assert_int_equal(error_prefix(&error, "cannot read '%s'", "x"), STATUS_OUTSIDE);
    assert_string_equal(error.message, "cannot read 'x': no such file");
}

static void may_quote_its_own_message(void **state)
{
    struct error error = ERROR_INIT;
    error_set(&error, STATUS_NO, "inner");
    error_set(&error, STATUS_NO, "outer (%s)", error.message);
    assert_string_equal(error.message, "outer (inner)");
}

static void stays_one_printable_line(void **state)
{
    struct error error = ERROR_INIT;
    error_set(&error, STATUS_NO, "a\nb\tc\033[31m \x7f \xff\xc3) é");
    assert_string_equal(error.message, "a b c [31m   ?\?) é");
}

static void cuts_long_text_between_characters(void **state)
{
    struct error error = ERROR_INIT;
    char text[4096];
    for (size_t i = 0; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "é", 3);
    error_set(&error, STATUS_NO, "%s", text);
    assert_int_equal(strlen(error.message), sizeof error.message - 2); /* 1022 bytes are 511 characters */
    assert_string_equal(error.message + strlen(error.message) - 2, "é");
    error_prefix(&error, "x");
    assert_memory_equal(error.message, "x: é", 5);
    assert_string_equal(error.message + strlen(error.message) - 2, "é");
}

static void a_bug_aborts(void **state)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        close(STDERR_FILENO);
        BUG("%d", 1);
    }
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFSIGNALED(result));
    assert_int_equal(WTERMSIG(result), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_status_and_message),           cmocka_unit_test(prefixes_and_keeps_the_status),
        cmocka_unit_test(may_quote_its_own_message),         cmocka_unit_test(stays_one_printable_line),
        cmocka_unit_test(cuts_long_text_between_characters), cmocka_unit_test(a_bug_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
