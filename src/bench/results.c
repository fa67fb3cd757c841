#include "bench/results.h"
#include "base/fields.h"
#include <math.h>

static const char select_runs[] =
    "SELECT uuid, started_at, machine, build, threads, precision, gflops, gbytes_per_s FROM benchmark_run"
    " WHERE id IN (SELECT run FROM latest_run WHERE ?1 IS NULL OR variant = ?1) ORDER BY started_at, id";

static const char select_results[] =
    "SELECT uuid, variant, mode, scope, length, width, batch, l.threads, median_s, spread_s, flops, bytes,"
    "       parameters, state_bytes, peak_bytes, roofline_fraction, settings"
    " FROM latest_run AS l JOIN benchmark_run AS r ON r.id = l.run"
    " WHERE ?1 IS NULL OR variant = ?1"
    " ORDER BY variant, mode, scope, width, batch, length, l.threads, settings, l.precision";

static const char *text(sqlite3_stmt *statement, int column)
{
    return (const char *)sqlite3_column_text(statement, column);
}

static double number(sqlite3_stmt *statement, int column)
{
    return sqlite3_column_type(statement, column) == SQLITE_NULL ? NAN
                                                                 : sqlite3_column_double(statement, column);
}

static cJSON *run_json(sqlite3_stmt *statement)
{
    cJSON *run = cJSON_CreateObject();
    json_set_text(run, "run", text(statement, 0));
    json_set_text(run, "started_at", text(statement, 1));
    cJSON_AddItemToObject(run, "machine", cJSON_Parse(text(statement, 2)));
    cJSON_AddItemToObject(run, "build", cJSON_Parse(text(statement, 3)));
    json_set_number(run, "threads", number(statement, 4));
    json_set_text(run, "precision", text(statement, 5));
    cJSON *roofline = cJSON_AddObjectToObject(run, "roofline");
    json_set_number(roofline, "gflops", number(statement, 6));
    json_set_number(roofline, "gbytes_per_s", number(statement, 7));
    return run;
}

static cJSON *result_json(sqlite3_stmt *statement)
{
    static const char *const texts[] = {"run", "variant", "mode", "scope"};
    static const char *const numbers[] = {"length",     "width",       "batch",      "threads",
                                          "median_s",   "spread_s",    "flops",      "bytes",
                                          "parameters", "state_bytes", "peak_bytes", "roofline_fraction"};
    enum { TEXTS = sizeof texts / sizeof *texts, NUMBERS = sizeof numbers / sizeof *numbers };
    cJSON *result = cJSON_CreateObject();
    for (int i = 0; i < TEXTS; i++)
        json_set_text(result, texts[i], text(statement, i));
    for (int i = 0; i < NUMBERS; i++)
        json_set_number(result, numbers[i], number(statement, TEXTS + i));
    cJSON_AddItemToObject(result, "settings", cJSON_Parse(text(statement, TEXTS + NUMBERS)));
    return result;
}

static enum status read_rows(sqlite3 *database, const char *sql, const char *variant,
                             cJSON *(*row)(sqlite3_stmt *), cJSON *rows, struct error *error)
{
    sqlite3_stmt *statement;
    int code = sqlite3_prepare_v2(database, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        sqlite3_bind_text(statement, 1, variant, -1, SQLITE_STATIC);
        while ((code = sqlite3_step(statement)) == SQLITE_ROW)
            cJSON_AddItemToArray(rows, row(statement));
        sqlite3_finalize(statement);
    }
    if (code != SQLITE_DONE)
        return error_set(error, STATUS_OUTSIDE, "cannot read the measurements: %s", sqlite3_errmsg(database));
    return STATUS_OK;
}

enum status results_json(sqlite3 *database, const char *variant, cJSON **document, struct error *error)
{
    *document = cJSON_CreateObject();
    cJSON *runs = cJSON_AddArrayToObject(*document, "runs"),
          *results = cJSON_AddArrayToObject(*document, "results");
    enum status status = read_rows(database, select_runs, variant, run_json, runs, error);
    if (!status)
        status = read_rows(database, select_results, variant, result_json, results, error);
    if (status) {
        cJSON_Delete(*document);
        *document = NULL;
    }
    return status;
}
