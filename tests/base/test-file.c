#include "base/file.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Every test runs in an empty folder of its own. */
static int enter_folder(void **state)
{
    char *folder = strdup("/tmp/clade-test-file-XXXXXX");
    *state = folder;
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave_folder(void **state)
{
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s'", (char *)*state);
    int result = chdir("/") == 0 ? system(command) : -1;
    free(*state);
    return result;
}

static void expect_content(const char *path, const char *expected)
{
    struct error error = ERROR_INIT;
    char *data = NULL;
    size_t length = 0;
    assert_int_equal(file_read(path, 1 << 20, &data, &length, &error), STATUS_OK);
    assert_int_equal(length, strlen(expected));
    assert_string_equal(data, expected);
    free(data);
}

static size_t files_here(void)
{
    struct error error = ERROR_INIT;
    char **names = NULL;
    size_t count = 0;
    assert_int_equal(directory_list(".", "", &names, &count, &error), STATUS_OK);
    names_free(names, count);
    return count;
}

static void writes_and_reads_back(void **state)
{
    struct error error = ERROR_INIT;
    assert_int_equal(file_write("a", "text", 4, &error), STATUS_OK);
    expect_content("a", "text");
    assert_int_equal(file_write("a", "", 0, &error), STATUS_OK);
    expect_content("a", "");
    assert_int_equal(files_here(), 1);
}

static void refuses_to_read_past_the_maximum(void **state)
{
    struct error error = ERROR_INIT;
    char *data = NULL;
    size_t length = 0;
    file_write("a", "12345", 5, &error);
    assert_int_equal(file_read("a", 5, &data, &length, &error), STATUS_OK);
    free(data);
    assert_int_equal(file_read("a", 4, &data, &length, &error), STATUS_OUTSIDE);
    assert_string_equal(error.message, "cannot read 'a': larger than 4 bytes");
    assert_int_equal(file_read("/dev/zero", 100000, &data, &length, &error),
                     STATUS_OUTSIDE); /* has no size */
    assert_string_equal(error.message, "cannot read '/dev/zero': larger than 100000 bytes");
}

static void names_what_cannot_be_read(void **state)
{
    struct error error = ERROR_INIT;
    char *data = NULL;
    size_t length = 0;
    assert_int_equal(file_read("none", 10, &data, &length, &error), STATUS_OUTSIDE);
    assert_string_equal(error.message, "cannot open 'none': No such file or directory");
    assert_int_equal(file_read(".", 10000, &data, &length, &error), STATUS_OUTSIDE);
    assert_string_equal(error.message, "cannot read '.': Is a directory");
}

static void a_reader_sees_the_old_file_until_the_commit(void **state)
{
    struct error error = ERROR_INIT;
    struct output_file file;
    file_write("a", "old", 3, &error);
    assert_int_equal(output_file_open(&file, "a", &error), STATUS_OK);
    fputs("new", file.stream);
    fflush(file.stream);
    expect_content("a", "old");
    assert_int_equal(output_file_commit(&file, &error), STATUS_OK);
    expect_content("a", "new");
    assert_int_equal(files_here(), 1);
    output_file_discard(&file); /* has no effect */
    expect_content("a", "new");
}

static void a_discarded_file_leaves_nothing(void **state)
{
    struct error error = ERROR_INIT;
    struct output_file file;
    assert_int_equal(output_file_open(&file, "a", &error), STATUS_OK);
    fputs("new", file.stream);
    output_file_discard(&file);
    assert_int_equal(files_here(), 0);
}

static void keeps_permissions_and_follows_links(void **state)
{
    struct error error = ERROR_INIT;
    file_write("target", "old", 3, &error);
    assert_int_equal(chmod("target", 0640), 0);
    assert_int_equal(symlink("target", "link"), 0);
    assert_int_equal(file_write("link", "new", 3, &error), STATUS_OK);
    expect_content("target", "new");
    struct stat information;
    assert_int_equal(lstat("link", &information), 0);
    assert_true(S_ISLNK(information.st_mode));
    assert_int_equal(stat("target", &information), 0);
    assert_int_equal(information.st_mode & 07777, 0640);
}

static void a_full_disk_is_reported_for_small_and_large_files(void **state)
{
    struct error error = ERROR_INIT;
    char *large = calloc(1, 1 << 20);
    assert_int_equal(file_write("/dev/full", "x", 1, &error), STATUS_OUTSIDE);
    assert_string_equal(error.message, "cannot write '/dev/full': No space left on device");
    assert_int_equal(file_write("/dev/full", large, 1 << 20, &error), STATUS_OUTSIDE);
    assert_string_equal(error.message, "cannot write '/dev/full': No space left on device");
    free(large);
}

static void a_missing_folder_or_a_folder_as_file_is_an_error(void **state)
{
    struct error error = ERROR_INIT;
    assert_int_equal(file_write("none/a", "x", 1, &error), STATUS_OUTSIDE);
    assert_string_equal(error.message, "cannot create 'none/a': No such file or directory");
    assert_int_equal(file_write(".", "x", 1, &error), STATUS_OUTSIDE);
    assert_string_equal(error.message, "cannot create '.': Is a directory");
    assert_int_equal(files_here(), 0);
}

static void creates_folders_with_their_parents(void **state)
{
    struct error error = ERROR_INIT;
    assert_int_equal(directory_create("a/b//c/", &error), STATUS_OK);
    assert_int_equal(directory_create("a/b/c", &error), STATUS_OK);
    assert_int_equal(file_write("a/b/c/file", "x", 1, &error), STATUS_OK);
    assert_int_equal(directory_create("a/b/c/file/d", &error), STATUS_OUTSIDE);
    assert_non_null(strstr(error.message, "a/b/c/file"));
}

static void lists_sorted_by_suffix(void **state)
{
    struct error error = ERROR_INIT;
    for (const char *const *name = (const char *const[]){"b.json", "a.json", "c.txt", "json", NULL}; *name;
         name++)
        file_write(*name, "", 0, &error);
    char **names = NULL;
    size_t count = 0;
    assert_int_equal(directory_list(".", ".json", &names, &count, &error), STATUS_OK);
    assert_int_equal(count, 2);
    assert_string_equal(names[0], "a.json");
    assert_string_equal(names[1], "b.json");
    names_free(names, count);
    assert_int_equal(directory_list("none", "", &names, &count, &error), STATUS_OUTSIDE);
}

static void joins_paths(void **state)
{
    static const char *const cases[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"}, {"", "b", "b"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = path_join(cases[i][0], cases[i][1]);
        assert_string_equal(path, cases[i][2]);
        free(path);
    }
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(writes_and_reads_back),
        IN_FOLDER(refuses_to_read_past_the_maximum),
        IN_FOLDER(names_what_cannot_be_read),
        IN_FOLDER(a_reader_sees_the_old_file_until_the_commit),
        IN_FOLDER(a_discarded_file_leaves_nothing),
        IN_FOLDER(keeps_permissions_and_follows_links),
        IN_FOLDER(a_full_disk_is_reported_for_small_and_large_files),
        IN_FOLDER(a_missing_folder_or_a_folder_as_file_is_an_error),
        IN_FOLDER(creates_folders_with_their_parents),
        IN_FOLDER(lists_sorted_by_suffix),
        cmocka_unit_test(joins_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
