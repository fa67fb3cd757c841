/* Runs as JSON Lines: written and read they are the same; a file that is not whole, foreign or newer is
 * refused in one line, and the database takes all of a file or nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/file.h"
#include "bench/lines.h"
#include "bench/store.h"
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct record_result results[] = {
    {"gla", "block", "prefill", "{\"heads\":\"8\"}", 256, 512, 1, 7, 1000, 0, 4096, 0.125, 1e-6, 2e9, 1e8,
     0.75},
    {"gpt", "operation", "decode", "{}", 1024, 64, 2, 5, 10, 77, 88, 1e-5, 0, NAN, NAN, NAN},
};

static struct record record_named(const char *uuid)
{
    return (struct record){.uuid = uuid,
                           .started_at = "2026-01-02T03:04:05Z",
                           .machine = "{\"processor\":\"a \\\"fast\\\" one\",\"cores\":2}",
                           .build = "{\"version\":\"0.1.0\"}",
                           .options = "{}",
                           .precision = "double",
                           .threads = 3,
                           .gflops = 100.5,
                           .gbytes_per_s = NAN,
                           .results = results,
                           .count = 2};
}

static const char first_uuid[] = "00000000-0000-4000-8000-000000000001",
                  second_uuid[] = "00000000-0000-4000-8000-000000000002";

static char *written(const char *uuid)
{
    struct record record = record_named(uuid);
    struct text text;
    text_init(&text, 1 << 20);
    lines_write(&record, &text);
    return text_take(&text);
}

/* Reads a file and writes it again. */
static void check_again(const char *file, size_t runs)
{
    struct arena arena = ARENA_INIT;
    struct error error = ERROR_INIT;
    struct record *records;
    size_t count;
    struct text text;
    if (lines_read("file", file, strlen(file), &arena, &records, &count, &error))
        fail_msg("%s", error.message);
    assert_int_equal(count, runs);
    text_init(&text, 1 << 20);
    for (size_t i = 0; i < count; i++)
        lines_write(&records[i], &text);
    assert_string_equal(text_string(&text), file);
    text_release(&text);
    arena_release(&arena);
}

static void what_is_written_reads_back_as_the_same(void **state)
{
    (void)state;
    char *one = written(first_uuid), *two = written(second_uuid), *both;
    assert_true(asprintf(&both, "%s%s", one, two) > 0);
    check_again(one, 1);
    check_again(both, 2);
    free(one);
    free(two);
    free(both);
}

static void refused(const char *file, size_t length, const char *wanted)
{
    struct arena arena = ARENA_INIT;
    struct error error = ERROR_INIT;
    struct record *records;
    size_t count;
    assert_int_equal(lines_read("file", file, length, &arena, &records, &count, &error), STATUS_OUTSIDE);
    if (!strstr(error.message, wanted) || strchr(error.message, '\n') ||
        strncmp(error.message, "file:", 5) != 0)
        fail_msg("'%s' does not say '%s'", error.message, wanted);
    arena_release(&arena);
}

static void a_file_cut_anywhere_is_refused(void **state)
{
    (void)state;
    char *file = written(first_uuid);
    for (size_t length = 0; length < strlen(file); length++)
        refused(file, length, length == 0 ? "empty" : "cut short");
    free(file);
}

/* The file of two results with the first `from` replaced. */
static void refused_with(const char *from, const char *to, const char *wanted)
{
    char *file = written(first_uuid), *place = strstr(file, from), *changed;
    assert_non_null(place);
    int length = asprintf(&changed, "%.*s%s%s", (int)(place - file), file, to, place + strlen(from));
    refused(changed, (size_t)length, wanted);
    free(changed);
    free(file);
}

static void foreign_and_newer_files_are_refused(void **state)
{
    (void)state;
    refused("variant,mode,scope\n", 19, "file:1: expected the first line of a run");
    refused("{\"clade\": \"tree\"}\n", 18, "file:1: expected the first line of a run");
    refused_with("\"format\": 1", "\"format\": 2", "file:1: format: 2 is of a newer clade; this one reads 1");
    refused_with("\"results\": 2", "\"results\": 1", "file:3: expected the first line of a run");
    refused_with("\"results\": 2", "\"results\": 3",
                 "file:3: the file is cut short: its last run has 2 of 3");
}

static void values_out_of_their_range_are_refused_with_their_line(void **state)
{
    (void)state;
    refused_with("\"median_s\": 0.125", "\"median_s\": -1", "file:2: median_s: expected a number from 0 on");
    refused_with("\"median_s\": 0.125", "\"median_s\": null", "file:2: median_s");
    refused_with("\"median_s\": 0.125", "\"median_s\": 0.1.5", "file:2:");
    refused_with("\"scope\": \"operation\"", "\"scope\": \"all\"", "file:3: scope: unknown scope 'all'");
    refused_with("\"variant\": \"gla\"", "\"variant\": \"GLA\"", "file:2: variant: expected the key");
    refused_with("\"length\": 256", "\"length\": 0", "file:2: length");
    refused_with("\"rounds\": 7", "\"round\": 7", "did you mean 'rounds'");
    refused_with("\"settings\": {\"heads\": \"8\"}", "\"settings\": []", "file:2: settings");
    refused_with(first_uuid, "1", "file:1: run: expected a UUID");
    refused_with("2026-01-02T", "2026-01-02 ", "file:1: started_at: expected a time");
    refused_with("\"double\"", "\"half\"", "file:1: precision");
}

/* ---- The database ---- */

static sqlite3 *open_database(void)
{
    char *schema;
    size_t length;
    struct error error = ERROR_INIT;
    sqlite3 *database;
    assert_int_equal(sqlite3_open(":memory:", &database), SQLITE_OK);
    assert_int_equal(file_read(SCHEMA, 1 << 20, &schema, &length, &error), STATUS_OK);
    assert_int_equal(sqlite3_exec(database, schema, NULL, NULL, NULL), SQLITE_OK);
    free(schema);
    return database;
}

static int count_rows(sqlite3 *database, const char *sql)
{
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int count = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return count;
}

static void a_run_is_stored_once(void **state)
{
    (void)state;
    struct record records[] = {record_named(first_uuid), record_named(second_uuid), record_named(first_uuid)};
    struct error error = ERROR_INIT;
    sqlite3 *database = open_database();
    size_t known;
    assert_int_equal(store_records(database, records, 3, &known, &error), STATUS_OK);
    assert_int_equal(known, 1);
    assert_int_equal(store_records(database, records, 2, &known, &error), STATUS_OK);
    assert_int_equal(known, 2);
    assert_int_equal(count_rows(database, "SELECT count(*) FROM benchmark_run"), 2);
    assert_int_equal(count_rows(database, "SELECT count(*) FROM benchmark_result"), 4);
    assert_int_equal(count_rows(database, "SELECT count(*) FROM benchmark_result WHERE flops IS NULL"), 2);
    assert_int_equal(
        count_rows(database, "SELECT count(*) FROM latest_run WHERE variant = 'gla' AND median_s = 0.125"),
        1);
    sqlite3_close(database);
}

static void a_run_that_does_not_fit_leaves_nothing_of_the_others(void **state)
{
    (void)state;
    struct record_result twice[] = {results[0], results[0]};
    struct record records[] = {record_named(first_uuid), record_named(second_uuid)};
    struct error error = ERROR_INIT;
    sqlite3 *database = open_database();
    size_t known;
    records[1].results = twice;
    assert_int_equal(store_records(database, records, 2, &known, &error), STATUS_OUTSIDE);
    assert_non_null(strstr(error.message, "has a result twice"));
    assert_int_equal(count_rows(database, "SELECT count(*) FROM benchmark_run"), 0);
    sqlite3_close(database);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_back_as_the_same),
        cmocka_unit_test(a_file_cut_anywhere_is_refused),
        cmocka_unit_test(foreign_and_newer_files_are_refused),
        cmocka_unit_test(values_out_of_their_range_are_refused_with_their_line),
        cmocka_unit_test(a_run_is_stored_once),
        cmocka_unit_test(a_run_that_does_not_fit_leaves_nothing_of_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
