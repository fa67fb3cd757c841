/* The file: whose it is, which schema it has, where it can be written, what happens when it is damaged. */
#include "base/file.h"
#include "base/text.h"
#include "catalog/database.h"
#include "fixture.h"
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static sqlite3 *open_raw(const char *path)
{
    sqlite3 *database = NULL;
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    return database;
}

static void run_raw(sqlite3 *database, const char *sql)
{
    if (sqlite3_exec(database, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(database));
}

static char *read_bytes(const char *path, size_t *length)
{
    struct error error = ERROR_INIT;
    char *data = NULL;
    assert_int_equal(file_read(path, 1 << 24, &data, length, &error), STATUS_OK);
    return data;
}

static void write_bytes(const char *path, const char *data, size_t length)
{
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    assert_int_equal(fwrite(data, 1, length, stream), length);
    fclose(stream);
}

/* Opening must fail and leave the file byte for byte as it was. */
static void refused_and_untouched(struct fixture *fixture, const char *message)
{
    size_t before_length, after_length;
    char *before = read_bytes(fixture->database, &before_length), *after;
    struct text expected;
    text_init(&expected, 4096);
    text_format(&expected, "'%s' %s", fixture->database, message);
    fixture_refused(fixture, STATUS_OUTSIDE, text_string(&expected));
    after = read_bytes(fixture->database, &after_length);
    assert_int_equal(before_length, after_length);
    assert_memory_equal(before, after, before_length);
    free(before);
    free(after);
    text_release(&expected);
}

static void a_new_database_is_ours_and_strict(void **state)
{
    struct fixture *fixture = *state;
    struct catalog *catalog = fixture_open(fixture);
    sqlite3 *database = catalog_database(catalog);
    assert_string_equal(catalog_path(catalog), fixture->database);
    assert_null(catalog_note(catalog));
    assert_int_equal(fixture_integer(database, "PRAGMA application_id"), 0x636c6164);
    assert_int_equal(fixture_integer(database, "PRAGMA user_version"), schema_version());
    assert_int_equal(fixture_integer(database, "PRAGMA foreign_keys"), 1);
    assert_int_equal(fixture_integer(database, "PRAGMA trusted_schema"), 0);
    assert_string_equal(fixture_text(fixture, database, "PRAGMA journal_mode"), "wal");
    assert_string_equal(fixture_text(fixture, database, "PRAGMA integrity_check"), "ok");
    assert_int_equal(fixture_integer(database, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    /* the full-text index keeps tables of its own */
    assert_int_equal(fixture_integer(database,
                                     "SELECT count(*) FROM pragma_table_list WHERE type = 'table'"
                                     " AND schema = 'main' AND NOT strict"
                                     " AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'variant_search%'"),
                     0);
    assert_true(fixture_integer(database, "SELECT count(*) FROM pragma_table_list WHERE strict") >= 15);
    catalog_close(catalog);
}

static void the_views_answer(void **state)
{
    struct fixture *fixture = *state;
    struct catalog *catalog = fixture_open(fixture);
    sqlite3 *database = catalog_database(catalog);
    assert_string_equal(
        fixture_text(fixture, database,
                     "SELECT primary_parent || '|' || donors || '|' || composition || '|' || seeds"
                     " || '|' || authors || '|' || missing FROM variant_card WHERE key = 'samba'"),
        "gla|transformer|linear.ffn=mlp; linear.mixer=gated-linear-attention; linear.norm=layernorm; "
        "window.ffn=mlp; window.mixer=local-attention; window.norm=layernorm|baselines collected 15|"
        "Liliang Ren|summary, kernel local-attention");
    assert_string_equal(
        fixture_text(fixture, database,
                     "SELECT parent_name || '|' || parent_date || '|' || role || '|' || changed"
                     " FROM descent WHERE child = 'gla' AND role = 'donor'"),
        "Transformer|2017-06-12|donor|the block");
    assert_int_equal(fixture_integer(database, "SELECT count(*) FROM citation"), 4);
    assert_int_equal(fixture_integer(database, "SELECT count(*) FROM latest_run"), 0);
    catalog_close(catalog);
}

/* A file of each earlier schema keeps its rows and becomes one of the present. */
static void older_schemas_are_brought_up(void **state)
{
    struct fixture *fixture = *state;
    for (size_t applied = 0; applied < migration_count; applied++) {
        unlink(fixture->database);
        sqlite3 *raw = open_raw(fixture->database);
        for (size_t i = 0; i < applied; i++)
            run_raw(raw, migrations[i].sql);
        if (applied >= 2)
            run_raw(raw,
                    "INSERT INTO scholar_response VALUES ('GET /x', 200, x'00', '2024-01-01T00:00:00Z')");
        sqlite3_close(raw);
        struct catalog *catalog = fixture_open(fixture);
        sqlite3 *database = catalog_database(catalog);
        assert_int_equal(fixture_integer(database, "PRAGMA user_version"), schema_version());
        assert_int_equal(fixture_integer(database, "SELECT count(*) FROM scholar_response"), applied >= 2);
        assert_int_equal(fixture_integer(database, "SELECT count(*) FROM variant"), 6);
        catalog_close(catalog);
    }
}

static void a_migration_that_fails_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    sqlite3 *raw = open_raw(fixture->database);
    run_raw(raw, migrations[0].sql);
    run_raw(raw,
            "CREATE TABLE fetched_link (x); INSERT INTO fetched_link VALUES (1)"); /* 0002 makes one too */
    sqlite3_close(raw);
    struct text expected;
    text_init(&expected, 4096);
    text_format(&expected, "schema 0002-scholar.sql: database '%s': table fetched_link already exists",
                fixture->database);
    fixture_refused(fixture, STATUS_OUTSIDE, text_string(&expected));
    text_release(&expected);
    raw = open_raw(fixture->database);
    assert_int_equal(fixture_integer(raw, "PRAGMA user_version"), 1);
    assert_int_equal(fixture_integer(raw, "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'scholar%'"),
                     0);
    assert_int_equal(fixture_integer(raw, "SELECT x FROM fetched_link"), 1);
    sqlite3_close(raw);
}

static void a_database_of_another_program_is_refused(void **state)
{
    struct fixture *fixture = *state;
    sqlite3 *raw = open_raw(fixture->database);
    run_raw(raw, "CREATE TABLE mail (x)");
    sqlite3_close(raw);
    refused_and_untouched(fixture, "is a database of another program");
    raw = open_raw(fixture->database);
    run_raw(raw, "PRAGMA application_id = 7; DROP TABLE mail");
    sqlite3_close(raw);
    refused_and_untouched(fixture, "is a database of another program");
}

static void a_newer_schema_is_refused(void **state)
{
    struct fixture *fixture = *state;
    sqlite3 *raw = open_raw(fixture->database);
    for (size_t i = 0; i < migration_count; i++)
        run_raw(raw, migrations[i].sql);
    run_raw(raw, "PRAGMA user_version = 1000");
    sqlite3_close(raw);
    char message[128];
    snprintf(message, sizeof message, "has schema 1000 of a newer clade; this one knows up to %d",
             schema_version());
    refused_and_untouched(fixture, message);
}

static void what_is_no_database_is_refused(void **state)
{
    struct fixture *fixture = *state;
    static const char text[] =
        "A letter, with enough bytes that it could have been the header of a database file, "
        "but is not one, whatever its name may say to those who only read names.\n";
    write_bytes(fixture->database, text, sizeof text - 1);
    refused_and_untouched(fixture, "is not a database");
    unlink(fixture->database);
    write_bytes(fixture->database, "a note\n", 7); /* shorter than SQLite looks */
    refused_and_untouched(fixture, "is not a database");
    unlink(fixture->database);
    write_bytes(fixture->database, "", 0); /* an empty file is a database without content */
    catalog_close(fixture_open(fixture));
}

static void a_folder_or_a_missing_folder_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct text expected;
    text_init(&expected, 4096);
    mkdir(fixture->database, 0777);
    text_format(&expected, "'%s' is a folder", fixture->database);
    fixture_refused(fixture, STATUS_OUTSIDE, text_string(&expected));
    rmdir(fixture->database);

    free(fixture->database);
    fixture->database = path_join(fixture->folder, "none/clade.db");
    text_clear(&expected);
    text_format(&expected, "database '%s': no folder '%s/none'", fixture->database, fixture->folder);
    fixture_refused(fixture, STATUS_OUTSIDE, text_string(&expected));
    text_release(&expected);
}

/* Opens and asks; only crashes and hangs are wrong. */
static void try_damaged(struct fixture *fixture)
{
    struct catalog_options options = fixture_options(fixture);
    struct catalog *catalog = NULL;
    struct error error = ERROR_INIT;
    struct arena arena = ARENA_INIT;
    if (catalog_open(&options, &catalog, &error) == STATUS_OK) {
        struct variant_row *rows;
        struct variant_card card;
        struct citation_link *links;
        size_t count;
        catalog_list(catalog, &(struct catalog_filter){.text = "gated"}, &arena, &rows, &count, &error);
        catalog_list(catalog, &(struct catalog_filter){.missing = true}, &arena, &rows, &count, &error);
        catalog_card(catalog, "gla", &arena, &card, &error);
        catalog_citations(catalog, NULL, &arena, &links, &count, &error);
        catalog_close(catalog);
    } else {
        assert_int_equal(error.status, STATUS_OUTSIDE);
        assert_true(error.message[0] != '\0');
    }
    arena_release(&arena);
    struct text log;
    text_init(&log, 4096);
    text_format(&log, "%s-wal", fixture->database);
    unlink(text_string(&log));
    text_release(&log);
}

static void a_damaged_file_is_survived(void **state)
{
    struct fixture *fixture = *state;
    catalog_close(fixture_open(fixture));
    size_t length;
    char *good = read_bytes(fixture->database, &length);
    for (size_t cut = 0; cut < length; cut += length / 16 + 1) {
        write_bytes(fixture->database, good, cut);
        try_damaged(fixture);
    }
    unsigned seed = 1;
    for (int round = 0; round < 60; round++) {
        char *bad = memory_copy(good, length);
        for (int i = 0; i < 40; i++) {
            seed = seed * 1103515245 + 12345;
            bad[100 + (seed >> 8) % (length - 100)] ^= (char)(seed >> 3); /* the header stays */
        }
        write_bytes(fixture->database, bad, length);
        try_damaged(fixture);
        free(bad);
    }
    free(good);
}

/* ---- where it cannot be written: as a user without rights, so in a child ---- */

enum outcome { OPENED_FILE = 10, OPENED_MEMORY, REFUSED, WRONG };

static enum outcome open_as_nobody(struct fixture *fixture)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(WRONG);
        struct catalog_options options = fixture_options(fixture);
        struct catalog *catalog = NULL;
        struct error error = ERROR_INIT;
        struct arena arena = ARENA_INIT;
        struct variant_row *rows;
        size_t count = 0;
        if (catalog_open(&options, &catalog, &error))
            _exit(REFUSED);
        if (catalog_list(catalog, &(struct catalog_filter){.text = "gated"}, &arena, &rows, &count, &error) ||
            count != 1)
            _exit(WRONG);
        bool in_memory = strcmp(catalog_path(catalog), ":memory:") == 0;
        struct text note;
        text_init(&note, 4096);
        text_format(&note, "cannot write '%s': using a database in memory, what is measured is not kept",
                    fixture->database);
        const char *found = catalog_note(catalog);
        if (in_memory ? !found || strcmp(found, text_string(&note)) != 0 : found != NULL)
            _exit(WRONG);
        catalog_close(catalog);
        _exit(in_memory ? OPENED_MEMORY : OPENED_FILE);
    }
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    return (enum outcome)WEXITSTATUS(result);
}

static void a_read_only_folder_is_enough_to_read(void **state)
{
    struct fixture *fixture = *state;
    chmod(fixture->folder, 0755);
    if (geteuid() != 0)
        chmod(fixture->folder, 0555);
    assert_int_equal(open_as_nobody(fixture), OPENED_MEMORY); /* there is no file yet */
    chmod(fixture->folder, 0755);
    catalog_close(fixture_open(fixture));
    chmod(fixture->database, 0444);
    if (geteuid() != 0)
        chmod(fixture->folder, 0555);
    assert_int_equal(open_as_nobody(fixture), OPENED_FILE); /* the file is current */
    fixture_edit(fixture, "variants/gla.json", "A matrix state", "The matrix state");
    assert_int_equal(open_as_nobody(fixture), OPENED_MEMORY); /* it is not any more */
    fixture_write(fixture, "variants/gla.json", "{");
    assert_int_equal(open_as_nobody(fixture), REFUSED);
    chmod(fixture->folder, 0755);
}

/* ---- a full disk ---- */

/* Opens in a child that can write files of at most `limit` bytes. */
static enum outcome open_with_limit(struct fixture *fixture, rlim_t limit)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct catalog_options options = fixture_options(fixture);
        struct catalog *catalog = NULL;
        struct error error = ERROR_INIT;
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){limit, limit});
        if (catalog_open(&options, &catalog, &error) == STATUS_OK)
            _exit(OPENED_FILE);
        _exit(error.status == STATUS_OUTSIDE && strstr(error.message, fixture->database) ? REFUSED : WRONG);
    }
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    return (enum outcome)WEXITSTATUS(result);
}

static void a_full_disk_is_reported_and_harmless(void **state)
{
    struct fixture *fixture = *state;
    int refused = 0, opened = 0;
    for (rlim_t limit = 0; limit < 600 << 10; limit += 24 << 10) {
        enum outcome outcome = open_with_limit(fixture, limit);
        assert_true(outcome == REFUSED || outcome == OPENED_FILE);
        refused += outcome == REFUSED;
        opened += outcome == OPENED_FILE;
    }
    assert_true(refused > 3);
    assert_true(opened > 0);
    struct catalog *catalog = fixture_open(fixture); /* after all these failures */
    assert_string_equal(fixture_text(fixture, catalog_database(catalog), "PRAGMA integrity_check"), "ok");
    assert_int_equal(fixture_integer(catalog_database(catalog), "SELECT count(*) FROM variant"), 6);
    catalog_close(catalog);
}

/* ---- several processes ---- */

static void many_may_open_at_once(void **state)
{
    struct fixture *fixture = *state;
    pid_t children[8];
    fflush(NULL);
    for (int i = 0; i < 8; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            struct catalog_options options = fixture_options(fixture);
            struct catalog *catalog = NULL;
            struct error error = ERROR_INIT;
            if (catalog_open(&options, &catalog, &error)) {
                fprintf(stderr, "%s\n", error.message);
                _exit(1);
            }
            int64_t count = fixture_integer(catalog_database(catalog), "SELECT count(*) FROM variant");
            catalog_close(catalog);
            _exit(count == 6 ? 0 : 2);
        }
    }
    for (int i = 0; i < 8; i++) {
        int result;
        assert_int_equal(waitpid(children[i], &result, 0), children[i]);
        assert_int_equal(result, 0);
    }
}

static void a_writer_that_dies_leaves_the_old_or_the_new(void **state)
{
    struct fixture *fixture = *state;
    catalog_close(fixture_open(fixture));
    for (int round = 0; round < 20; round++) {
        fixture_edit(fixture, "variants/gla.json", "A matrix", "A  matrix"); /* to be rebuilt */
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            struct catalog_options options = fixture_options(fixture);
            struct catalog *catalog = NULL;
            struct error error = ERROR_INIT;
            catalog_open(&options, &catalog, &error);
            _exit(0);
        }
        usleep((useconds_t)round * 700);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        sqlite3 *raw = open_raw(fixture->database);
        assert_string_equal(fixture_text(fixture, raw, "PRAGMA integrity_check"), "ok");
        assert_int_equal(fixture_integer(raw, "SELECT count(*) FROM variant"), 6);
        assert_int_equal(fixture_integer(raw, "SELECT count(*) FROM snapshot_link"), 4);
        sqlite3_close(raw);
        fixture_edit(fixture, "variants/gla.json", "A  matrix", "A matrix");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(a_new_database_is_ours_and_strict),
        WITH_FIXTURE(the_views_answer),
        WITH_FIXTURE(older_schemas_are_brought_up),
        WITH_FIXTURE(a_migration_that_fails_changes_nothing),
        WITH_FIXTURE(a_database_of_another_program_is_refused),
        WITH_FIXTURE(a_newer_schema_is_refused),
        WITH_FIXTURE(what_is_no_database_is_refused),
        WITH_FIXTURE(a_folder_or_a_missing_folder_is_refused),
        WITH_FIXTURE(a_damaged_file_is_survived),
        WITH_FIXTURE(a_read_only_folder_is_enough_to_read),
        WITH_FIXTURE(a_full_disk_is_reported_and_harmless),
        WITH_FIXTURE(many_may_open_at_once),
        WITH_FIXTURE(a_writer_that_dies_leaves_the_old_or_the_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
