/* The catalogue itself, as the program ships it. */
#include "base/file.h"
#include "catalog/lint.h"
#include "fixture.h"
#include <time.h>

static struct catalog *catalog;
static struct arena arena;

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int open_whole(void **state)
{
    struct catalog_options options = {.database = ":memory:", .directory = CLADE_CATALOG};
    struct error error = ERROR_INIT;
    double start = seconds();
    if (catalog_open(&options, &catalog, &error)) {
        print_error("%s\n", error.message);
        return -1;
    }
    return seconds() - start < 2 ? 0 : -1; /* about 0.1 s; the sanitizers triple it */
}

static int close_whole(void **state)
{
    catalog_close(catalog);
    arena_release(&arena);
    return 0;
}

/* tests/data/seed-rows.tsv lists the rows of the two lists and the keys that they were given. */
static void every_seed_row_is_one_entry(void **state)
{
    struct error error = ERROR_INIT;
    char *data, *rest, *line;
    size_t length, rows = 0;
    assert_int_equal(file_read(CLADE_TEST_DATA "/seed-rows.tsv", 1 << 20, &data, &length, &error), STATUS_OK);
    rest = data;
    strsep(&rest, "\n"); /* the header */
    sqlite3_stmt *select = NULL;
    sqlite3_prepare_v2(catalog_database(catalog),
                       "SELECT variant FROM seed_row WHERE list = ?1 AND part = ?2 AND number = ?3", -1,
                       &select, NULL);
    while ((line = strsep(&rest, "\n")) && *line) {
        char *columns[4];
        for (int i = 0; i < 4; i++)
            columns[i] = strsep(&line, "\t");
        for (int i = 0; i < 3; i++)
            sqlite3_bind_text(select, i + 1, columns[i], -1, SQLITE_STATIC);
        if (sqlite3_step(select) != SQLITE_ROW)
            fail_msg("no entry has row %s %s %s (%s)", columns[0], columns[1], columns[2], columns[3]);
        assert_string_equal(sqlite3_column_text(select, 0), columns[3]);
        assert_int_equal(sqlite3_step(select), SQLITE_DONE);
        sqlite3_reset(select);
        rows++;
    }
    sqlite3_finalize(select);
    free(data);
    assert_int_equal(rows, 281);
    assert_int_equal(fixture_integer(catalog_database(catalog), "SELECT count(*) FROM seed_row"), 281);
    assert_int_equal(
        fixture_integer(catalog_database(catalog), "SELECT count(DISTINCT variant) FROM seed_row"), 254);
}

/* Rules whose every finding is a mistake. */
static void the_entries_are_consistent(void **state)
{
    static const char *const rules[] = {"younger-parent", "needless-exception", "unexplained-parent",
                                        "orphan",         "date-after-arxiv",   "year-before-date",
                                        "same-title",     "title-as-summary",   "no-reference"};
    struct lint_finding *findings;
    size_t count;
    struct error error = ERROR_INIT;
    int mistakes = 0;
    assert_int_equal(catalog_lint(catalog, &arena, &findings, &count, &error), STATUS_OK);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < sizeof rules / sizeof *rules; j++)
            if (strcmp(findings[i].rule, rules[j]) == 0) {
                print_error("%s: %s: %s\n", findings[i].rule, findings[i].variant, findings[i].message);
                mistakes++;
            }
    assert_int_equal(mistakes, 0);
}

static void every_entry_is_told(void **state)
{
    struct variant_row *rows;
    size_t count;
    struct error error = ERROR_INIT;
    int untold = 0;
    catalog_list(catalog, &(struct catalog_filter){.missing = true}, &arena, &rows, &count, &error);
    for (size_t i = 0; i < count; i++)
        if (strncmp(rows[i].missing, "kernel ", 7) != 0) { /* kernels come later than entries */
            print_error("%s lacks %s\n", rows[i].key, rows[i].missing);
            untold++;
        }
    assert_int_equal(untold, 0);
}

/* Each connected part of descent hangs on one root, and roots are few. */
static void descent_has_few_roots(void **state)
{
    sqlite3 *database = catalog_database(catalog);
    int64_t roots = fixture_integer(
        database, "SELECT count(*) FROM variant WHERE NOT EXISTS (SELECT 1 FROM parent WHERE child = key)");
    int64_t reached = fixture_integer(
        database, "WITH RECURSIVE below (key) AS ("
                  " SELECT key FROM variant WHERE NOT EXISTS (SELECT 1 FROM parent WHERE child = key)"
                  " UNION SELECT child FROM parent JOIN below ON parent.parent = below.key AND is_primary)"
                  " SELECT count(*) FROM below");
    assert_in_range(roots, 1, 8);
    assert_int_equal(reached, fixture_integer(database, "SELECT count(*) FROM variant"));
}

static void questions_are_answered_at_once(void **state)
{
    struct variant_row *rows;
    struct variant_card card;
    struct citation_link *links;
    struct parent_link *parents;
    size_t count;
    struct error error = ERROR_INIT;
    double start = seconds();
    catalog_list(catalog, &(struct catalog_filter){.text = "attention"}, &arena, &rows, &count, &error);
    assert_true(count > 50);
    catalog_list(catalog, &(struct catalog_filter){0}, &arena, &rows, &count, &error);
    assert_true(count >= 254);
    catalog_card(catalog, "transformer", &arena, &card, &error);
    assert_true(card.child_count > 10);
    catalog_citations(catalog, NULL, &arena, &links, &count, &error);
    assert_true(count > 3000);
    catalog_parent_links(catalog, &arena, &parents, &count, &error);
    assert_true(count > 250);
    assert_true(seconds() - start < 5 * 0.05);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_seed_row_is_one_entry),
        cmocka_unit_test(the_entries_are_consistent),
        cmocka_unit_test(every_entry_is_told),
        cmocka_unit_test(descent_has_few_roots),
        cmocka_unit_test(questions_are_answered_at_once),
    };
    return cmocka_run_group_tests(tests, open_whole, close_whole);
}
