#include "base/memory.h"
#include "catalog/database.h"
#include <math.h>
#include <string.h>

enum status database_error(sqlite3 *database, struct error *error)
{
    const char *path = sqlite3_db_filename(database, "main");
    return error_set(error, STATUS_OUTSIDE, "database '%s': %s",
                     path && *path ? path : ":memory:", sqlite3_errmsg(database));
}

static void check(struct statement *statement, int result)
{
    if (result != SQLITE_OK && !statement->status)
        statement->status = database_error(statement->database, statement->error);
}

struct statement statement_start(sqlite3 *database, const char *sql, struct error *error)
{
    struct statement statement = {.database = database, .error = error};
    check(&statement, sqlite3_prepare_v2(database, sql, -1, &statement.handle, NULL));
    return statement;
}

void statement_bind_text(struct statement *statement, int parameter, const char *text)
{
    if (!statement->status)
        check(statement, sqlite3_bind_text(statement->handle, parameter, text, -1, SQLITE_STATIC));
}

void statement_bind_integer(struct statement *statement, int parameter, int64_t value)
{
    if (!statement->status)
        check(statement, sqlite3_bind_int64(statement->handle, parameter, value));
}

void statement_bind_real(struct statement *statement, int parameter, double value)
{
    if (!isfinite(value))
        statement_bind_null(statement, parameter);
    else if (!statement->status)
        check(statement, sqlite3_bind_double(statement->handle, parameter, value));
}

void statement_bind_null(struct statement *statement, int parameter)
{
    if (!statement->status)
        check(statement, sqlite3_bind_null(statement->handle, parameter));
}

void statement_bind_blob(struct statement *statement, int parameter, const void *data, size_t length)
{
    if (!statement->status)
        check(statement, sqlite3_bind_blob64(statement->handle, parameter, data, length, SQLITE_STATIC));
}

bool statement_step(struct statement *statement)
{
    if (statement->status)
        return false;
    int result = sqlite3_step(statement->handle);
    if (result == SQLITE_ROW)
        return true;
    check(statement, result == SQLITE_DONE ? SQLITE_OK : result);
    return false;
}

void statement_reset(struct statement *statement)
{
    if (statement->handle)
        sqlite3_reset(statement->handle); /* repeats the error of the step, which is known already */
}

void statement_run(struct statement *statement)
{
    while (statement_step(statement))
        ;
    statement_reset(statement);
}

const char *statement_text(struct statement *statement, int column, struct arena *arena)
{
    const char *text = (const char *)sqlite3_column_text(statement->handle, column);
    return arena_copy_string(arena, text);
}

int64_t statement_integer(struct statement *statement, int column)
{
    return sqlite3_column_int64(statement->handle, column);
}

double statement_real(struct statement *statement, int column)
{
    return statement_null(statement, column) ? (double)NAN : sqlite3_column_double(statement->handle, column);
}

bool statement_null(struct statement *statement, int column)
{
    return sqlite3_column_type(statement->handle, column) == SQLITE_NULL;
}

enum status statement_finish(struct statement *statement)
{
    sqlite3_finalize(statement->handle);
    statement->handle = NULL;
    return statement->status;
}

enum status database_run(sqlite3 *database, const char *sql, struct error *error)
{
    return sqlite3_exec(database, sql, NULL, NULL, NULL) == SQLITE_OK ? STATUS_OK
                                                                      : database_error(database, error);
}

enum status database_begin(sqlite3 *database, struct error *error)
{
    return database_run(database, "BEGIN IMMEDIATE", error);
}

enum status database_end(sqlite3 *database, enum status status, struct error *error)
{
    if (!status)
        status = database_run(database, "COMMIT", error);
    if (status && !sqlite3_get_autocommit(database)) /* SQLite may have rolled back by itself */
        sqlite3_exec(database, "ROLLBACK", NULL, NULL, NULL);
    return status;
}
