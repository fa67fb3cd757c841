#include "bench/store.h"
#include "catalog/database.h"

static enum status has_run(sqlite3 *database, const char *uuid, bool *has, struct error *error)
{
    struct statement select = statement_start(database, "SELECT 1 FROM benchmark_run WHERE uuid = ?1", error);
    statement_bind_text(&select, 1, uuid);
    *has = statement_step(&select);
    return statement_finish(&select);
}

static enum status insert_run(sqlite3 *database, const struct record *record, struct error *error)
{
    struct statement insert = statement_start(
        database,
        "INSERT INTO benchmark_run (uuid, started_at, machine, threads, precision, build, options, gflops,"
        " gbytes_per_s) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        error);
    statement_bind_text(&insert, 1, record->uuid);
    statement_bind_text(&insert, 2, record->started_at);
    statement_bind_text(&insert, 3, record->machine);
    statement_bind_integer(&insert, 4, record->threads);
    statement_bind_text(&insert, 5, record->precision);
    statement_bind_text(&insert, 6, record->build);
    statement_bind_text(&insert, 7, record->options);
    statement_bind_real(&insert, 8, record->gflops);
    statement_bind_real(&insert, 9, record->gbytes_per_s);
    statement_run(&insert);
    return statement_finish(&insert);
}

static void insert_result(struct statement *insert, int64_t run, const struct record_result *result)
{
    statement_bind_integer(insert, 1, run);
    statement_bind_text(insert, 2, result->variant);
    statement_bind_text(insert, 3, result->scope);
    statement_bind_text(insert, 4, result->mode);
    statement_bind_integer(insert, 5, result->length);
    statement_bind_integer(insert, 6, result->width);
    statement_bind_integer(insert, 7, result->batch);
    statement_bind_text(insert, 8, result->settings);
    statement_bind_integer(insert, 9, result->rounds);
    statement_bind_real(insert, 10, result->median_s);
    statement_bind_real(insert, 11, result->spread_s);
    statement_bind_real(insert, 12, result->flops);
    statement_bind_real(insert, 13, result->bytes);
    statement_bind_integer(insert, 14, result->parameters);
    statement_bind_integer(insert, 15, result->state_bytes);
    statement_bind_integer(insert, 16, result->peak_bytes);
    statement_bind_real(insert, 17, result->roofline_fraction);
    statement_run(insert);
}

static enum status insert_results(sqlite3 *database, const struct record *record, int64_t run,
                                  struct error *error)
{
    struct statement insert = statement_start(
        database,
        "INSERT INTO benchmark_result (run, variant, scope, mode, length, width, batch, settings, rounds,"
        " median_s, spread_s, flops, bytes, parameters, state_bytes, peak_bytes, roofline_fraction)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
        error);
    for (size_t i = 0; i < record->count && !insert.status; i++)
        insert_result(&insert, run, &record->results[i]);
    bool twice = (sqlite3_errcode(database) & 0xff) == SQLITE_CONSTRAINT;
    enum status status = statement_finish(&insert);
    return status && twice ? error_set(error, STATUS_OUTSIDE, "run %s has a result twice", record->uuid)
                           : status;
}

static enum status insert_tests(sqlite3 *database, const struct record *record, int64_t run,
                                struct error *error)
{
    struct statement insert = statement_start(database,
                                              "INSERT INTO task_result (run, task, variant, settings, seed, "
                                              "step, parameters, accuracy, loss, seconds)"
                                              " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                                              error);
    for (size_t i = 0; i < record->test_count && !insert.status; i++) {
        const struct record_test *test = &record->tests[i];
        statement_bind_integer(&insert, 1, run);
        statement_bind_text(&insert, 2, test->task);
        statement_bind_text(&insert, 3, test->variant);
        statement_bind_text(&insert, 4, test->settings);
        statement_bind_integer(&insert, 5, test->seed);
        statement_bind_integer(&insert, 6, test->step);
        statement_bind_integer(&insert, 7, test->parameters);
        statement_bind_real(&insert, 8, test->accuracy);
        statement_bind_real(&insert, 9, test->loss);
        statement_bind_real(&insert, 10, test->seconds);
        statement_run(&insert);
    }
    return statement_finish(&insert);
}

static enum status insert_record(sqlite3 *database, const struct record *record, struct error *error)
{
    enum status status = insert_run(database, record, error);
    int64_t run = sqlite3_last_insert_rowid(database);
    if (!status)
        status = insert_results(database, record, run, error);
    return status ? status : insert_tests(database, record, run, error);
}

enum status store_records(sqlite3 *database, const struct record *records, size_t count, size_t *known,
                          struct error *error)
{
    *known = 0;
    enum status status = database_begin(database, error);
    if (status)
        return error_prefix(error, "cannot store the measurements");
    for (size_t i = 0; i < count && !status; i++) {
        bool has = false;
        status = has_run(database, records[i].uuid, &has, error);
        *known += has;
        if (!status && !has)
            status = insert_record(database, &records[i], error);
    }
    if (status)
        error_prefix(error, "cannot store the measurements");
    return database_end(database, status, error);
}
