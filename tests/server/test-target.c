/* Targets of requests: what is taken apart, and what is refused. */
#include "client.h"

static const char *fault_of(const char *text, struct target *target, struct arena *arena)
{
    return target_parse(text, strlen(text), arena, target);
}

static void test_paths(void **state)
{
    struct fixture *fixture = *state;
    struct target target;
    assert_null(fault_of("/", &target, &fixture->arena));
    assert_int_equal(target.segment_count, 0);
    assert_null(fault_of("/api/variants/gla.json", &target, &fixture->arena));
    assert_int_equal(target.segment_count, 3);
    assert_string_equal(target.segments[2], "gla.json");
    assert_null(fault_of("/a%20b%C3%A9", &target, &fixture->arena));
    assert_string_equal(target.segments[0], "a b\xC3\xA9");
    assert_null(fault_of("/a+b", &target, &fixture->arena));
    assert_string_equal(target.segments[0], "a+b");
    assert_null(fault_of("/...", &target, &fixture->arena));
}

static void test_queries(void **state)
{
    struct fixture *fixture = *state;
    struct target target;
    assert_null(fault_of("/x?text=linear+attention&family=a%26b%3Dc&seeds", &target, &fixture->arena));
    assert_int_equal(target.field_count, 3);
    assert_string_equal(target_field(&target, "text"), "linear attention");
    assert_string_equal(target_field(&target, "family"), "a&b=c");
    assert_string_equal(target_field(&target, "seeds"), "");
    assert_null(target_field(&target, "kind"));
    assert_null(fault_of("/x?", &target, &fixture->arena));
    assert_int_equal(target.field_count, 0);
    assert_null(fault_of("/x?a=b=c", &target, &fixture->arena));
    assert_string_equal(target_field(&target, "a"), "b=c");
}

static void test_refused(void **state)
{
    struct fixture *fixture = *state;
    struct target target;
    static const char *const refused[] = {
        "",
        "x",
        "http://h/",
        "*",
        "//",
        "/a//b",
        "/a/",
        "/.",
        "/..",
        "/a/../b",
        "/%2e%2e",
        "/.%2E",
        "/a%2fb",
        "/%2F",
        "/%00",
        "/a%0ab",
        "/%7f",
        "/%",
        "/%2",
        "/%zz",
        "/%2",
        "/%c0%ae",
        "/%ff",
        "/%ed%a0%80",
        "/a?=b",
        "/a?b&b",
        "/a?b=1&b=2",
        "/a?%",
        "/a?b=%0",
        "/a?b=%c3",
        "/a?&",
        "/1/2/3/4/5/6/7/8/9",
        "/?1&2&3&4&5&6&7&8&9&10&11&12&13&14&15&16&17",
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (!fault_of(refused[i], &target, &fixture->arena))
            fail_msg("'%s' is not refused", refused[i]);
    char *long_one = arena_allocate(&fixture->arena, TARGET_LONGEST + 2);
    memset(long_one, 'a', TARGET_LONGEST);
    long_one[0] = '/';
    assert_null(fault_of(long_one, &target, &fixture->arena));
    long_one[TARGET_LONGEST] = 'a';
    assert_non_null(fault_of(long_one, &target, &fixture->arena));
}

int main(void)
{
    const struct CMUnitTest tests[] = {WITH_FIXTURE(test_paths), WITH_FIXTURE(test_queries),
                                       WITH_FIXTURE(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
