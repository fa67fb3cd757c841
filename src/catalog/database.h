/* database.h: SQLite with the project's errors and arenas, and the schema. For src/catalog and for scholar
 * and bench, which keep tables of their own in the same file. */
#ifndef CLADE_CATALOG_DATABASE_H
#define CLADE_CATALOG_DATABASE_H

#include "base/error.h"
#include "base/memory.h"
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* STATUS_OUTSIDE "database 'FILE': what SQLite says". */
enum status database_error(sqlite3 *database, struct error *error);

/* ---- statements ----
 *
 * A statement's first failure sticks: bind and step freely, then look at the status of statement_finish().
 * Text is always bound, so no input becomes part of a statement. */
struct statement {
    sqlite3 *database;
    sqlite3_stmt *handle; /* NULL after a failure to prepare */
    enum status status;
    struct error *error;
};

struct statement statement_start(sqlite3 *database, const char *sql, struct error *error);
/* Parameters count from 1. NULL text binds NULL; the text must live until the next reset. */
void statement_bind_text(struct statement *statement, int parameter, const char *text);
void statement_bind_integer(struct statement *statement, int parameter, int64_t value);
void statement_bind_real(struct statement *statement, int parameter, double value); /* NULL if not finite */
void statement_bind_null(struct statement *statement, int parameter);
void statement_bind_blob(struct statement *statement, int parameter, const void *data, size_t length);
bool statement_step(struct statement *statement); /* true: a row is there; false: the end, or a failure */
void statement_run(struct statement *statement);  /* steps to the end and resets: for an insert in a loop */
void statement_reset(struct statement *statement);
/* Columns count from 0. Text is copied into the arena; NULL stays NULL. */
const char *statement_text(struct statement *statement, int column, struct arena *arena);
int64_t statement_integer(struct statement *statement, int column); /* 0 for NULL */
double statement_real(struct statement *statement, int column);     /* NaN for NULL */
bool statement_null(struct statement *statement, int column);
enum status statement_finish(struct statement *statement);

/* Runs statements of our own that take no values. */
enum status database_run(sqlite3 *database, const char *sql, struct error *error);

/* ---- transactions ---- */

enum status database_begin(sqlite3 *database,
                           struct error *error); /* takes the write lock, waiting up to 5 s */
/* Commits if `status` is STATUS_OK, else rolls back; returns the status, or that of a failed commit. */
enum status database_end(sqlite3 *database, enum status status, struct error *error);

/* ---- the file ---- */

/* Opens FILE, or ":memory:". Refuses a database that is not ours or of a newer schema, before anything is
 * written. `read_only` says whether it can only be read; an absent or older one that cannot be written gives
 * NULL in
 * `*database` and STATUS_OK: there is nothing to use. Otherwise a writable one is brought to the present
 * schema. */
enum status database_open(const char *path, sqlite3 **database, bool *read_only, struct error *error);
/* Whether the last failure says that we may not write here (a folder, a file, a medium), rather than that
 * something is broken. Ask before a rollback. */
bool database_refuses_writing(sqlite3 *database);
/* The schema's number, and all of its text mixed into a fingerprint. */
int schema_version(void);
uint64_t schema_fingerprint(uint64_t fingerprint);

/* One file of schema/, in order; made by embed-schema.py. */
struct migration {
    const char *name;
    const char *sql;
};
extern const struct migration migrations[];
extern const size_t migration_count;

#endif
