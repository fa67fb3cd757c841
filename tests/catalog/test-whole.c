/* The catalogue itself, as the program ships it, with the program's kernels. */
#include "base/file.h"
#include "block/registry.h"
#include "catalog/database.h"
#include "catalog/lint.h"
#include "catalog/rules.h"
#include "fixture.h"
#include <ctype.h>
#include <time.h>

static struct catalog *catalog;
static struct arena arena;

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The registry as the catalogue wants it; states that depend on options are not asked for. */
static struct catalog_kernel *program_kernels(void)
{
    struct catalog_kernel *kernels = arena_allocate(&arena, registry_count * sizeof *kernels);
    for (size_t i = 0; i < registry_count; i++) {
        const struct kernel *kernel = registry_kernels[i];
        struct kernel_trait *traits = NULL;
        size_t count = 0;
        for (const struct character *c = kernel->characters; c && c->name; c++) {
            traits = arena_extend(&arena, traits, count, sizeof *traits);
            traits[count++] = (struct kernel_trait){c->name, c->state};
        }
        kernels[i] = (struct catalog_kernel){
            kernel->name, slot_names[kernel->slot], kernel->variant, traits, count, NULL};
    }
    return kernels;
}

static int open_whole(void **state)
{
    struct catalog_options options = {":memory:", CLADE_CATALOG, program_kernels(), registry_count};
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

static int64_t count_of(const char *sql)
{
    return fixture_integer(catalog_database(catalog), sql);
}

/* Parents older than children or excused, no orphan, one title a work, no kernel forgotten ...
 * (src/catalog/lint.c). */
static void lint_has_nothing_but_notes(void **state)
{
    struct lint_finding *findings;
    size_t count;
    struct error error = ERROR_INIT;
    int mistakes = 0;
    assert_int_equal(catalog_lint(catalog, &arena, &findings, &count, &error), STATUS_OK);
    for (size_t i = 0; i < count; i++)
        if (findings[i].severity != LINT_NOTE) {
            print_error("%s: %s: %s\n", findings[i].rule, findings[i].variant ? findings[i].variant : "-",
                        findings[i].message);
            mistakes++;
        }
    assert_int_equal(mistakes, 0);
}

static void every_kernel_exists_or_is_planned(void **state)
{
    assert_int_equal(count_of("SELECT count(*) FROM kernel"), registry_count);
    assert_int_equal(count_of("SELECT count(*) FROM slot WHERE kernel IS NULL AND planned IS NULL"), 0);
    assert_int_equal(count_of("SELECT count(*) FROM slot LEFT JOIN kernel ON name = kernel"
                              " WHERE kernel IS NOT NULL AND (name IS NULL OR kernel.slot <> slot.slot)"),
                     0);
    assert_int_equal(count_of("SELECT count(*) FROM slot JOIN kernel ON name = planned"), 0);
}

/* Calls `check` with the key and the first column of each row; fails with all that it refuses. */
static void check_each(const char *sql, bool (*check)(const char *text, const void *context),
                       const void *context)
{
    struct error error = ERROR_INIT;
    struct statement rows = statement_start(catalog_database(catalog), sql, &error);
    int refused = 0;
    size_t count = 0;
    for (; statement_step(&rows); count++) {
        const char *key = statement_text(&rows, 0, &arena), *text = statement_text(&rows, 1, &arena);
        if (check(text, context))
            continue;
        print_error("%s: '%s'\n", key, text);
        refused++;
    }
    assert_int_equal(statement_finish(&rows), STATUS_OK);
    assert_true(count > 0);
    assert_int_equal(refused, 0);
}

static bool has_form(const char *text, const void *form)
{
    return form_matches(*(const enum form *)form, text);
}

static void ids_are_well_formed_and_unique(void **state)
{
    static const struct {
        enum form form;
        char column[8];
    } ids[] = {
        {FORM_KEY, "key"}, {FORM_S2, "s2"}, {FORM_ARXIV, "arxiv"}, {FORM_DOI, "doi"}, {FORM_ACL, "acl"}};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        const char *column = ids[i].column;
        check_each(arena_format(&arena, "SELECT key, %s FROM variant WHERE %s IS NOT NULL", column, column),
                   has_form, &ids[i].form);
        assert_int_equal(
            count_of(arena_format(&arena, "SELECT count(%s) - count(DISTINCT lower(%s)) FROM variant", column,
                                  column)),
            0);
    }
    /* ids that contain each other agree */
    assert_int_equal(count_of("SELECT count(*) FROM variant WHERE doi LIKE '10.18653/v1/%'"
                              " AND acl IS NOT NULL AND lower(substr(doi, 13)) <> lower(acl)"),
                     0);
    assert_int_equal(count_of("SELECT count(*) FROM variant WHERE doi LIKE '10.48550/arxiv.%' AND "
                              "substr(doi, 16) IS NOT arxiv"),
                     0);
}

static void links_are_urls(void **state)
{
    const enum form url = FORM_URL;
    check_each("SELECT variant, url FROM code_link", has_form, &url);
    assert_int_equal(count_of("SELECT count(*) FROM (SELECT DISTINCT variant, url FROM code_link)"),
                     count_of("SELECT count(*) FROM code_link"));
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

/* Over donors too. */
static void descent_has_no_circle(void **state)
{
    assert_int_equal(count_of("WITH RECURSIVE up (node, ancestor) AS (SELECT child, parent FROM parent"
                              " UNION SELECT node, parent FROM up JOIN parent ON child = ancestor)"
                              " SELECT count(*) FROM up WHERE node = ancestor"),
                     0);
}

/* A reason is more than a word. */
static void exceptions_are_explained(void **state)
{
    assert_int_equal(count_of("SELECT count(*) FROM parent WHERE length(exception) < 30"), 0);
    assert_in_range(count_of("SELECT count(exception) FROM parent"), 0, 6);
}

/* Each connected part of descent hangs on one root, and roots are few. */
static void descent_has_few_roots(void **state)
{
#define BELOW_A_ROOT                                                                          \
    "WITH RECURSIVE below (root, key) AS ("                                                   \
    " SELECT key, key FROM variant WHERE NOT EXISTS (SELECT 1 FROM parent WHERE child = key)" \
    " UNION SELECT root, child FROM parent JOIN below ON parent.parent = below.key AND is_primary) "
    assert_in_range(count_of(BELOW_A_ROOT "SELECT count(DISTINCT root) FROM below"), 1, 6);
    assert_int_equal(count_of(BELOW_A_ROOT "SELECT count(DISTINCT key) FROM below"),
                     count_of("SELECT count(*) FROM variant"));
    assert_int_equal(count_of(BELOW_A_ROOT "SELECT count(*) FROM (SELECT key FROM below GROUP BY key"
                                           " HAVING count(DISTINCT root) > 1)"),
                     0);
}

/* ---- summaries are not taken from abstracts: tests/data/abstract-runs.py ---- */

enum { RUN = 8 };

struct runs {
    uint32_t *hashes; /* sorted */
    size_t count;
};

static uint32_t hash_of(const char *text, size_t length)
{
    uint32_t value = 0x811c9dc5;
    for (size_t i = 0; i < length; i++)
        value = (value ^ (unsigned char)text[i]) * 0x01000193;
    return value;
}

static int compare_hashes(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Words are runs of ASCII letters and digits, in lower case with one space between. */
static bool shares_no_run(const char *text, const void *context)
{
    const struct runs *runs = context;
    char words[4096];
    size_t starts[512], count = 0, length = 0;
    for (; *text && length + 2 < sizeof words; text++) {
        if (!isascii(*text) || !isalnum(*text))
            continue;
        bool first = length == 0 || !isascii(text[-1]) || !isalnum(text[-1]);
        if (first && length)
            words[length++] = ' ';
        if (first && count < 511)
            starts[count++] = length;
        words[length++] = (char)tolower(*text);
    }
    starts[count] = length + 1;
    for (size_t i = 0; i + RUN <= count; i++) {
        uint32_t hash = hash_of(words + starts[i], starts[i + RUN] - 1 - starts[i]);
        if (bsearch(&hash, runs->hashes, runs->count, sizeof hash, compare_hashes))
            return false;
    }
    return true;
}

static void no_summary_is_taken_from_an_abstract(void **state)
{
    struct error error = ERROR_INIT;
    char *data;
    size_t length;
    assert_int_equal(file_read(CLADE_TEST_DATA "/abstract-runs.bin", 1 << 20, &data, &length, &error),
                     STATUS_OK);
    struct runs runs = {arena_allocate(&arena, length), length / 4};
    for (size_t i = 0; i < runs.count; i++)
        for (size_t byte = 4; byte-- > 0;)
            runs.hashes[i] = runs.hashes[i] << 8 | (unsigned char)data[4 * i + byte];
    free(data);
    assert_true(runs.count > 40000);
    assert_int_equal(hash_of("foobar", 6), 0xbf9cf968);
    struct runs one = {(uint32_t[]){hash_of("b c 1 d e f g h", 15)}, 1};
    assert_false(shares_no_run("A (B, c-1) D e f\ng H\xc3\xa4 i", &one));
    assert_true(shares_no_run("B c 1 d e f g", &one));
    check_each("SELECT key, summary FROM variant", shares_no_run, &runs);
    check_each("SELECT child, changed FROM parent", shares_no_run, &runs);
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
        cmocka_unit_test(lint_has_nothing_but_notes),
        cmocka_unit_test(every_kernel_exists_or_is_planned),
        cmocka_unit_test(ids_are_well_formed_and_unique),
        cmocka_unit_test(links_are_urls),
        cmocka_unit_test(every_entry_is_told),
        cmocka_unit_test(descent_has_no_circle),
        cmocka_unit_test(exceptions_are_explained),
        cmocka_unit_test(descent_has_few_roots),
        cmocka_unit_test(no_summary_is_taken_from_an_abstract),
        cmocka_unit_test(questions_are_answered_at_once),
    };
    return cmocka_run_group_tests(tests, open_whole, close_whole);
}
