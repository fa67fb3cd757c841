#include "fixture.h"
#include "base/file.h"
#include "base/text.h"
#include "catalog/database.h"
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static double read_clock(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double monotonic(void *data)
{
    return read_clock(CLOCK_MONOTONIC) + ((struct fixture *)data)->skipped;
}

static double wall(void *data)
{
    return read_clock(CLOCK_REALTIME) + ((struct fixture *)data)->skipped;
}

static void put_forward(void *data, double seconds)
{
    ((struct fixture *)data)->skipped += seconds;
}

static void shell(const char *format, ...)
{
    char command[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    assert_int_equal(system(command), 0);
}

static void open_catalogue(struct fixture *fixture)
{
    struct catalog_options options = {.database = fixture->database, .directory = fixture->catalogue};
    struct error error = ERROR_INIT;
    catalog_open(&options, &fixture->catalog, &error);
    assert_string_equal(error.message, "");
}

int fixture_setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    strcpy(fixture->folder, "/tmp/clade-test-scholar-XXXXXX");
    if (!mkdtemp(fixture->folder))
        return -1;
    fixture->catalogue = path_join(fixture->folder, "catalog");
    fixture->database = path_join(fixture->folder, "clade.db");
    fixture->clock = (struct scholar_clock){monotonic, wall, put_forward, fixture};
    shell("cp -r '%s/catalog' '%s'", CLADE_SCHOLAR_DATA, fixture->catalogue);
    open_catalogue(fixture);
    graph_read(fixture->database, &fixture->graph);
    *state = fixture;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    server_stop(&fixture->server);
    catalog_close(fixture->catalog);
    shell("rm -rf '%s'", fixture->folder);
    arena_release(&fixture->arena);
    graph_free(&fixture->graph);
    free(fixture->catalogue);
    free(fixture->database);
    free(fixture);
    return 0;
}

void fixture_serve(struct fixture *fixture, const char *scenario)
{
    server_stop(&fixture->server);
    server_start(&fixture->server, scenario, &fixture->graph, 1000);
}

void fixture_reopen(struct fixture *fixture)
{
    catalog_close(fixture->catalog);
    fixture->catalog = NULL;
    open_catalogue(fixture);
}

void fixture_edit(struct fixture *fixture, const char *name, const char *from, const char *to)
{
    struct error error = ERROR_INIT;
    char *path = path_join(fixture->catalogue, name), *data;
    size_t length;
    assert_int_equal(file_read(path, 1 << 20, &data, &length, &error), STATUS_OK);
    char *at = strstr(data, from);
    assert_non_null(at);
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    fprintf(stream, "%.*s%s%s", (int)(at - data), data, to, at + strlen(from));
    assert_int_equal(fclose(stream), 0);
    free(data);
    free(path);
}

struct fetch_options fixture_options(struct fixture *fixture)
{
    return (struct fetch_options){.endpoint = fixture->server.endpoint,
                                  .user_agent = "clade-test",
                                  .interval = 1.1,
                                  .backoff = 2,
                                  .timeout = 5,
                                  .time = 3600,
                                  .threshold = 0.95,
                                  .stop = &fixture->stop,
                                  .clock = &fixture->clock};
}

struct fetch_report fixture_fetch(struct fixture *fixture, const struct fetch_options *options)
{
    struct fetch_report report;
    struct error error = ERROR_INIT;
    enum status status = fetch_run(fixture->catalog, options, &fixture->arena, &report, &error);
    assert_string_equal(error.message, "");
    assert_int_equal(status, STATUS_OK);
    return report;
}

const char *fixture_fetch_fails(struct fixture *fixture, const struct fetch_options *options,
                                struct fetch_report *report)
{
    struct error error = ERROR_INIT;
    enum status status = fetch_run(fixture->catalog, options, &fixture->arena, report, &error);
    assert_int_not_equal(status, STATUS_OK);
    assert_int_equal(error.status, status);
    return arena_copy_string(&fixture->arena, error.message);
}

int64_t fixture_integer(struct fixture *fixture, const char *sql)
{
    const char *text = fixture_text(fixture, sql);
    assert_true(*text);
    return atoll(text);
}

const char *fixture_text(struct fixture *fixture, const char *sql)
{
    struct error error = ERROR_INIT;
    struct text rows;
    text_init(&rows, 1 << 24);
    struct statement select = statement_start(catalog_database(fixture->catalog), sql, &error);
    while (statement_step(&select)) {
        for (int column = 0; column < sqlite3_column_count(select.handle); column++) {
            const char *text = statement_text(&select, column, &fixture->arena);
            text_format(&rows, "%s%s", column ? "|" : "", text ? text : "NULL");
        }
        text_append(&rows, "\n");
    }
    statement_finish(&select);
    assert_string_equal(error.message, "");
    const char *copy = arena_copy_string(&fixture->arena, text_string(&rows));
    text_release(&rows);
    return copy;
}

void fixture_run(struct fixture *fixture, const char *sql)
{
    struct error error = ERROR_INIT;
    database_run(catalog_database(fixture->catalog), sql, &error);
    assert_string_equal(error.message, "");
}

const char *fixture_data(struct fixture *fixture, const char *name, size_t *length)
{
    struct error error = ERROR_INIT;
    char *path = path_join(CLADE_SCHOLAR_DATA, name), *data;
    assert_int_equal(file_read(path, 1 << 20, &data, length, &error), STATUS_OK);
    char *copy = arena_allocate(&fixture->arena, *length + 1);
    memcpy(copy, data, *length + 1);
    free(data);
    free(path);
    return copy;
}
