#include "bench/store.h"
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

static enum status failed(sqlite3 *database, struct error *error)
{
    return error_set(error, STATUS_OUTSIDE, "cannot store the measurements: %s", sqlite3_errmsg(database));
}

/* A random (version 4) UUID. */
static void make_uuid(char text[37])
{
    unsigned char bytes[16];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        BUG("no random bytes");
    bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
    for (int i = 0, o = 0; i < 16; i++)
        o += snprintf(text + o, (size_t)(37 - o), i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x",
                      bytes[i]);
}

static int insert_run(sqlite3 *database, const struct session *session, const char *machine,
                      const char *build, const char *options)
{
    sqlite3_stmt *statement;
    char uuid[37], started[32];
    time_t now = time(NULL);
    struct tm utc;
    make_uuid(uuid);
    strftime(started, sizeof started, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    int code = sqlite3_prepare_v2(
        database,
        "INSERT INTO benchmark_run (uuid, started_at, machine, threads, precision, build, options, "
        "gflops, gbytes_per_s) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        -1, &statement, NULL);
    if (code != SQLITE_OK)
        return code;
    sqlite3_bind_text(statement, 1, uuid, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, started, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 3, machine, -1, SQLITE_STATIC);
    sqlite3_bind_int(statement, 4, tensor_threads());
    sqlite3_bind_text(statement, 5, REAL_NAME, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 6, build, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 7, options, -1, SQLITE_STATIC);
    sqlite3_bind_double(statement, 8, session->roofline.gflops);
    sqlite3_bind_double(statement, 9, session->roofline.gbytes_per_s);
    code = sqlite3_step(statement);
    sqlite3_finalize(statement);
    return code;
}

static int insert_result(sqlite3_stmt *statement, const struct session *session, const struct measurement *m,
                         sqlite3_int64 run)
{
    double median = measurement_median(m);
    sqlite3_reset(statement);
    sqlite3_bind_int64(statement, 1, run);
    sqlite3_bind_text(statement, 2, m->variant, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 3, bench_scope_names[m->scope], -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 4, bench_mode_names[m->mode], -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 5, m->length);
    sqlite3_bind_int64(statement, 6, m->width);
    sqlite3_bind_int64(statement, 7, m->batch);
    sqlite3_bind_text(statement, 8, m->settings, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 9, (sqlite3_int64)m->rounds);
    sqlite3_bind_double(statement, 10, median);
    sqlite3_bind_double(statement, 11, measurement_spread(m));
    sqlite3_bind_double(statement, 12, m->flops);
    sqlite3_bind_double(statement, 13, m->bytes);
    sqlite3_bind_int64(statement, 14, m->parameters);
    sqlite3_bind_int64(statement, 15, (sqlite3_int64)m->state_bytes);
    sqlite3_bind_int64(statement, 16, (sqlite3_int64)m->peak_bytes);
    sqlite3_bind_double(statement, 17,
                        roofline_seconds(&session->roofline, m->flops, m->compulsory_bytes) / median);
    return sqlite3_step(statement);
}

static int insert_all(sqlite3 *database, const struct session *session, const char *machine,
                      const char *build, const char *options)
{
    int code = insert_run(database, session, machine, build, options);
    if (code != SQLITE_DONE)
        return code;
    sqlite3_int64 run = sqlite3_last_insert_rowid(database);
    sqlite3_stmt *statement;
    code = sqlite3_prepare_v2(
        database,
        "INSERT INTO benchmark_result (run, variant, scope, mode, length, width, batch, settings, "
        "rounds, median_s, spread_s, flops, bytes, parameters, state_bytes, peak_bytes, "
        "roofline_fraction) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, "
        "?16, ?17)",
        -1, &statement, NULL);
    if (code != SQLITE_OK)
        return code;
    code = SQLITE_DONE;
    for (size_t i = 0; i < session->count && code == SQLITE_DONE; i++)
        code = insert_result(statement, session, &session->measurements[i], run);
    sqlite3_finalize(statement);
    return code;
}

enum status store_session(sqlite3 *database, const struct session *session, const char *machine,
                          const char *build, const char *options, struct error *error)
{
    if (sqlite3_exec(database, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
        return failed(database, error);
    if (insert_all(database, session, machine, build, options) != SQLITE_DONE ||
        sqlite3_exec(database, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
        failed(database, error);
        sqlite3_exec(database, "ROLLBACK", NULL, NULL, NULL);
        return error->status;
    }
    return STATUS_OK;
}
