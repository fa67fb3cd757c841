/* Opening: where things are found, when the tables are filled again, what a rebuild keeps. */
#include "base/file.h"
#include "catalog/database.h"
#include "fixture.h"
#include <unistd.h>

static void run(struct catalog *catalog, const char *sql)
{
    struct error error = ERROR_INIT;
    database_run(catalog_database(catalog), sql, &error);
    assert_string_equal(error.message, "");
}

/* A mark that a rebuild wipes out. */
static void mark(struct catalog *catalog)
{
    run(catalog, "UPDATE variant SET venue = 'MARK' WHERE key = 'pulse'");
}

static bool marked(struct catalog *catalog)
{
    return fixture_integer(catalog_database(catalog), "SELECT count(*) FROM variant WHERE venue = 'MARK'") ==
           1;
}

static void unchanged_files_are_not_loaded_again(void **state)
{
    struct fixture *fixture = *state;
    struct catalog *catalog = fixture_open(fixture);
    mark(catalog);
    catalog_close(catalog);
    fixture_edit(fixture, "variants/gla.json", "\"GLA\"",
                 "\"GLA\""); /* written again, with the same content */
    catalog = fixture_open(fixture);
    assert_true(marked(catalog));
    catalog_close(catalog);
}

static void any_change_fills_the_tables_again(void **state)
{
    static const struct {
        const char *file, *from, *to;
    } changes[] = {
        {"variants/gla.json", "\"GLA\"", "\"Gla\""},
        {"families.json", "Scores for pairs", "Scores of pairs"},
        {"characters.json", "never", "not ever"},
        {"suites.json", "The two", "Both"},
        {"citations.tsv", "# A small", "# The small"},
    };
    struct fixture *fixture = *state;
    catalog_close(fixture_open(fixture));
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct catalog *catalog = fixture_open(fixture);
        mark(catalog);
        catalog_close(catalog);
        fixture_edit(fixture, changes[i].file, changes[i].from, changes[i].to);
        catalog = fixture_open(fixture);
        assert_false(marked(catalog));
        catalog_close(catalog);
    }
}

static void other_kernels_fill_the_tables_again(void **state)
{
    struct fixture *fixture = *state;
    struct catalog *catalog = fixture_open(fixture);
    mark(catalog);
    catalog_close(catalog);
    struct catalog_kernel kernels[8];
    memcpy(kernels, fixture_kernels, fixture_kernel_count * sizeof *kernels);
    kernels[7] = (struct catalog_kernel){.name = "local-attention", .slot = "mixer"};
    struct catalog_options options = {fixture->database, fixture->catalogue, kernels, 8};
    struct error error = ERROR_INIT;
    assert_int_equal(catalog_open(&options, &catalog, &error), STATUS_OK);
    assert_false(marked(catalog));
    assert_int_equal(fixture_integer(catalog_database(catalog), "SELECT count(*) FROM kernel"), 8);
    catalog_close(catalog);
}

static void loading_twice_gives_the_same(void **state)
{
    struct fixture *fixture = *state;
    struct catalog *catalog = fixture_open(fixture);
    const char *first = fixture_dump(fixture, catalog_database(catalog));
    assert_true(strlen(first) > 3000);
    run(catalog, "UPDATE catalogue SET fingerprint = ''");
    catalog_close(catalog);
    catalog = fixture_open(fixture);
    assert_string_equal(fixture_dump(fixture, catalog_database(catalog)), first);
    assert_string_equal(fixture_text(fixture, catalog_database(catalog), "PRAGMA integrity_check"), "ok");
    catalog_close(catalog);
}

static const char *raw_dump(struct fixture *fixture)
{
    sqlite3 *raw = NULL;
    assert_int_equal(sqlite3_open(fixture->database, &raw), SQLITE_OK);
    const char *dump = fixture_dump(fixture, raw);
    sqlite3_close(raw);
    return dump;
}

static void a_refused_catalogue_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    catalog_close(fixture_open(fixture));
    const char *before = raw_dump(fixture);
    /* good changes beside a bad one: neither arrives */
    fixture_edit(fixture, "variants/transformer.json", "\"Transformer\"", "\"TRANSFORMER\"");
    fixture_edit(fixture, "variants/retnet.json", "\"kind\": \"block\"", "\"kind\": \"brick\"");
    fixture_refused(fixture, STATUS_OUTSIDE,
                    "variants/retnet.json: kind: unknown kind 'brick': did you mean 'block'?");
    assert_string_equal(raw_dump(fixture), before);
    fixture_edit(fixture, "variants/retnet.json", "\"brick\"", "\"block\"");
    catalog_close(fixture_open(fixture));
    assert_non_null(strstr(raw_dump(fixture), "TRANSFORMER"));
}

static void a_file_cut_anywhere_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    catalog_close(fixture_open(fixture));
    const char *before = raw_dump(fixture);
    struct error error = ERROR_INIT;
    char *path = path_join(fixture->catalogue, "variants/gla.json"), *data;
    size_t length;
    assert_int_equal(file_read(path, 1 << 20, &data, &length, &error), STATUS_OK);
    for (size_t cut = 0; cut + 2 < length; cut += 53) {
        struct catalog_options options = fixture_options(fixture);
        struct catalog *catalog = NULL;
        char kept = data[cut];
        data[cut] = '\0';
        fixture_write(fixture, "variants/gla.json", data);
        data[cut] = kept;
        assert_int_equal(catalog_open(&options, &catalog, &error), STATUS_OUTSIDE);
    }
    assert_string_equal(raw_dump(fixture), before);
    free(data);
    free(path);
}

static void entries_come_and_go(void **state)
{
    struct fixture *fixture = *state;
    catalog_close(fixture_open(fixture));
    fixture_remove(fixture, "variants/pulse.json");
    fixture_write(
        fixture, "variants/new.json",
        "{\"key\": \"new\", \"added\": \"relative\", \"parents\": [{\"key\": \"gla\", \"primary\": true}]}");
    struct catalog *catalog = fixture_open(fixture);
    sqlite3 *database = catalog_database(catalog);
    assert_int_equal(fixture_integer(database, "SELECT count(*) FROM variant WHERE key = 'pulse'"), 0);
    assert_int_equal(fixture_integer(database, "SELECT count(*) FROM variant WHERE key = 'new'"), 1);
    assert_int_equal(fixture_integer(database, "SELECT count(*) FROM variant_search WHERE key = 'pulse'"), 0);
    assert_int_equal(fixture_integer(database, "SELECT count(*) FROM variant"), 6);
    catalog_close(catalog);
}

static void what_was_measured_or_fetched_is_kept(void **state)
{
    struct fixture *fixture = *state;
    struct catalog *catalog = fixture_open(fixture);
    run(catalog,
        "INSERT INTO benchmark_run (uuid, started_at, machine, threads, precision, build, options) VALUES"
        " ('a', '2024-01-01T00:00:00Z', '{}', 2, 'single', '{}', '{}'),"
        " ('b', '2024-02-01T00:00:00Z', '{}', 2, 'single', '{}', '{}')");
    run(catalog,
        "INSERT INTO benchmark_result (run, variant, scope, mode, length, width, batch, settings, rounds,"
        " median_s, spread_s) VALUES (1, 'pulse', 'block', 'prefill', 256, 64, 1, '{}', 5, 2.0, 0.1),"
        " (2, 'pulse', 'block', 'prefill', 256, 64, 1, '{}', 5, 1.0, 0.1),"
        " (1, 'gla', 'block', 'prefill', 256, 64, 1, '{}', 5, 3.0, 0.1)");
    run(catalog, "INSERT INTO task_result VALUES (1, 'parity', 'pulse', '{}', 1, 100, 1000, 0.5, 0.7, 1.5)");
    run(catalog,
        "INSERT INTO scholar_response VALUES ('GET /paper/x', 200, x'7b7d', '2024-01-01T00:00:00Z')");
    run(catalog, "INSERT INTO scholar_paper (variant, paper_id, state, retrieved_at)"
                 " VALUES ('pulse', 'x', 'complete', '2024-01-01T00:00:00Z')");
    run(catalog, "INSERT INTO fetched_link VALUES ('pulse', 'gla', 1, 0, 0, 1, 3, '2024-01-01T00:00:00Z')");
    catalog_close(catalog);

    fixture_remove(fixture, "variants/pulse.json"); /* the entry goes, what is known of it stays */
    catalog = fixture_open(fixture);
    sqlite3 *database = catalog_database(catalog);
    assert_int_equal(fixture_integer(database, "SELECT count(*) FROM benchmark_run"), 2);
    assert_int_equal(fixture_integer(database, "SELECT count(*) FROM benchmark_result"), 3);
    assert_int_equal(fixture_integer(database, "SELECT count(*) FROM task_result"), 1);
    assert_int_equal(fixture_integer(database, "SELECT length(body) FROM scholar_response"), 2);
    assert_int_equal(fixture_integer(database, "SELECT count(*) FROM scholar_paper"), 1);
    assert_int_equal(fixture_integer(database, "SELECT count(*) FROM fetched_link"), 1);
    assert_int_equal(fixture_integer(database, "SELECT count(*) FROM citation WHERE citing = 'pulse'"), 0);
    /* the newest of the two runs */
    assert_int_equal(fixture_integer(database, "SELECT count(*) FROM latest_run"), 2);
    assert_int_equal(fixture_integer(database, "SELECT median_s FROM latest_run WHERE variant = 'pulse'"), 1);
    catalog_close(catalog);
}

static void environment_names_database_and_catalogue(void **state)
{
    struct fixture *fixture = *state;
    struct catalog_options options = {.kernels = fixture_kernels, .kernel_count = fixture_kernel_count};
    struct catalog *catalog = NULL;
    struct error error = ERROR_INIT;
    setenv("CLADE_CATALOG", fixture->catalogue, 1);
    setenv("CLADE_DB", fixture->database, 1);
    assert_int_equal(catalog_open(&options, &catalog, &error), STATUS_OK);
    assert_string_equal(catalog_path(catalog), fixture->database);
    catalog_close(catalog);

    unsetenv("CLADE_DB");
    setenv("XDG_DATA_HOME", fixture->folder, 1); /* the folder in it is made */
    assert_int_equal(catalog_open(&options, &catalog, &error), STATUS_OK);
    char expected[4096];
    snprintf(expected, sizeof expected, "%s/clade/clade.db", fixture->folder);
    assert_string_equal(catalog_path(catalog), expected);
    assert_int_equal(access(expected, F_OK), 0);
    catalog_close(catalog);

    unsetenv("XDG_DATA_HOME");
    setenv("HOME", fixture->folder, 1);
    assert_int_equal(catalog_open(&options, &catalog, &error), STATUS_OK);
    snprintf(expected, sizeof expected, "%s/.local/share/clade/clade.db", fixture->folder);
    assert_string_equal(catalog_path(catalog), expected);
    catalog_close(catalog);

    setenv("XDG_DATA_HOME", "/proc/none", 1); /* cannot be made by anybody */
    assert_int_equal(catalog_open(&options, &catalog, &error), STATUS_OK);
    assert_string_equal(catalog_path(catalog), ":memory:");
    assert_string_equal(catalog_note(catalog),
                        "cannot write '/proc/none/clade/clade.db': using a database in memory, "
                        "what is measured is not kept");
    catalog_close(catalog);

    unsetenv("XDG_DATA_HOME");
    unsetenv("HOME");
    assert_int_equal(catalog_open(&options, &catalog, &error), STATUS_OK);
    assert_string_equal(catalog_path(catalog), ":memory:");
    assert_non_null(catalog_note(catalog));
    catalog_close(catalog);
    unsetenv("CLADE_CATALOG");
}

static void a_missing_catalogue_is_named(void **state)
{
    struct fixture *fixture = *state;
    free(fixture->catalogue);
    fixture->catalogue = path_join(fixture->folder, "none");
    struct catalog_options options = fixture_options(fixture);
    struct catalog *catalog = NULL;
    struct error error = ERROR_INIT;
    assert_int_equal(catalog_open(&options, &catalog, &error), STATUS_OUTSIDE);
    char expected[4096];
    snprintf(expected, sizeof expected, "cannot open '%s/none/families.json': No such file or directory",
             fixture->folder);
    assert_string_equal(error.message, expected);
}

static void memory_is_a_database_too(void **state)
{
    struct fixture *fixture = *state;
    struct catalog_options options = fixture_options(fixture);
    struct catalog *catalog = NULL;
    struct error error = ERROR_INIT;
    options.database = ":memory:";
    assert_int_equal(catalog_open(&options, &catalog, &error), STATUS_OK);
    assert_null(catalog_note(catalog));
    assert_string_equal(catalog_path(catalog), ":memory:");
    assert_int_equal(fixture_integer(catalog_database(catalog), "SELECT count(*) FROM variant"), 6);
    catalog_close(catalog);
    catalog_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(unchanged_files_are_not_loaded_again),
        WITH_FIXTURE(any_change_fills_the_tables_again),
        WITH_FIXTURE(other_kernels_fill_the_tables_again),
        WITH_FIXTURE(loading_twice_gives_the_same),
        WITH_FIXTURE(a_refused_catalogue_changes_nothing),
        WITH_FIXTURE(a_file_cut_anywhere_changes_nothing),
        WITH_FIXTURE(entries_come_and_go),
        WITH_FIXTURE(what_was_measured_or_fetched_is_kept),
        WITH_FIXTURE(environment_names_database_and_catalogue),
        WITH_FIXTURE(a_missing_catalogue_is_named),
        WITH_FIXTURE(memory_is_a_database_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
