/* database.c: the file: whose it is, whether it can be written, which schema it has. */
#include "catalog/database.h"
#include "base/text.h"
#include "catalog/source.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    APPLICATION_ID = 0x636c6164, /* "clad", as 0001 says */
    WAIT_MS = 5000,              /* for another writer */
    SMALLEST_PAGE = 512,
};

int schema_version(void)
{
    return (int)migration_count;
}

uint64_t schema_fingerprint(uint64_t fingerprint)
{
    for (size_t i = 0; i < migration_count; i++)
        fingerprint = fingerprint_mix(fingerprint, migrations[i].sql, strlen(migrations[i].sql));
    return fingerprint;
}

/* The file may come from anywhere: nothing in its schema is trusted to run, nothing in its pages to be sound.
 */
static void harden(sqlite3 *database)
{
    sqlite3_extended_result_codes(database, 1);
    sqlite3_busy_timeout(database, WAIT_MS);
    sqlite3_db_config(database, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(database, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
    sqlite3_db_config(database, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    sqlite3_exec(database, "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0", NULL, NULL, NULL);
}

struct identity {
    int64_t application, schema, objects;
};

/* In one statement, so that another process cannot make the schema between two of the answers. */
static enum status read_identity(sqlite3 *database, const char *path, struct identity *identity,
                                 struct error *error)
{
    struct statement select = statement_start(database,
                                              "SELECT application_id, user_version,"
                                              " (SELECT count(*) FROM sqlite_schema)"
                                              " FROM pragma_application_id, pragma_user_version",
                                              error);
    if (statement_step(&select)) {
        identity->application = statement_integer(&select, 0);
        identity->schema = statement_integer(&select, 1);
        identity->objects = statement_integer(&select, 2);
    }
    enum status status = statement_finish(&select);
    if ((sqlite3_errcode(database) & 0xff) == SQLITE_NOTADB)
        return error_set(error, STATUS_OUTSIDE, "'%s' is not a database", path);
    if (status)
        return status;
    bool empty = identity->application == 0 && identity->schema == 0 && identity->objects == 0;
    if (!empty && identity->application != APPLICATION_ID)
        return error_set(error, STATUS_OUTSIDE, "'%s' is a database of another program", path);
    if (identity->schema > schema_version())
        return error_set(error, STATUS_OUTSIDE,
                         "'%s' has schema %lld of a newer clade; this one knows up to %d", path,
                         (long long)identity->schema, schema_version());
    return STATUS_OK;
}

bool database_refuses_writing(sqlite3 *database)
{
    int code = sqlite3_errcode(database) & 0xff;
    return code == SQLITE_READONLY || code == SQLITE_CANTOPEN || code == SQLITE_PERM;
}

/* Brings an empty or older database to the present schema, all or nothing; STATUS_NO if it cannot be written.
 */
static enum status migrate(sqlite3 *database, const char *path, struct error *error)
{
    enum status status = database_begin(database, error);
    if (status)
        return database_refuses_writing(database) ? STATUS_NO : status;
    struct identity identity = {0}; /* again: another process may have been first */
    status = read_identity(database, path, &identity, error);
    for (size_t i = (size_t)identity.schema; i < migration_count && !status; i++) {
        status = database_run(database, migrations[i].sql, error);
        if (status)
            error_prefix(error, "schema %s", migrations[i].name);
        if (status && database_refuses_writing(database))
            status = STATUS_NO;
    }
    return database_end(database, status, error);
}

/* A path as a URI that promises SQLite that the file does not change: without it, a database in WAL mode
 * cannot be read where its folder cannot be written. */
static char *immutable_uri(const char *path)
{
    struct text uri;
    text_init(&uri, 1 << 16);
    text_append(&uri, "file:");
    for (const char *at = path; *at; at++)
        text_format(&uri, strchr("%?#", *at) ? "%%%02x" : "%c", (unsigned char)*at);
    text_append(&uri, "?immutable=1");
    return text_take(&uri);
}

/* STATUS_OUTSIDE for a file that could not even be opened. */
static enum status open_error(sqlite3 *database, const char *path, struct error *error)
{
    return error_set(error, STATUS_OUTSIDE, "database '%s': %s", path, sqlite3_errmsg(database));
}

static enum status open_read_only(const char *path, sqlite3 **database, struct error *error)
{
    struct text log;
    text_init(&log, 1 << 16);
    text_format(&log, "%s-wal", path);
    bool at_rest = access(text_string(&log), F_OK) != 0;
    text_release(&log);
    char *uri = at_rest ? immutable_uri(path) : memory_copy_string(path);
    int flags = SQLITE_OPEN_READONLY | (at_rest ? SQLITE_OPEN_URI : 0);
    int result = sqlite3_open_v2(uri, database, flags, NULL);
    free(uri);
    return result == SQLITE_OK ? STATUS_OK : open_error(*database, path, error);
}

static enum status open_for_reading(const char *path, sqlite3 **database, struct error *error)
{
    if (access(path, F_OK) != 0)
        return STATUS_OK;
    struct identity identity = {0};
    enum status status = open_read_only(path, database, error);
    if (!status) {
        harden(*database);
        status = read_identity(*database, path, &identity, error);
    }
    if (status || identity.schema < schema_version()) {
        sqlite3_close(*database);
        *database = NULL;
    }
    return status;
}

/* Opens for reading and writing; STATUS_NO if that is not possible here. */
static enum status open_for_writing(const char *path, sqlite3 **database, struct error *error)
{
    struct identity identity = {0};
    int result = sqlite3_open_v2(path, database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    if (result != SQLITE_OK)
        return database_refuses_writing(*database) ? STATUS_NO : open_error(*database, path, error);
    harden(*database);
    enum status status = read_identity(*database, path, &identity, error);
    if (status)
        return database_refuses_writing(*database) ? STATUS_NO : status;
    if (sqlite3_db_readonly(*database, "main"))
        return STATUS_NO;
    /* a file system without shared memory keeps the rollback journal, and so does memory: no failure */
    sqlite3_exec(*database, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL", NULL, NULL, NULL);
    return identity.schema < schema_version() ? migrate(*database, path, error) : STATUS_OK;
}

enum status database_open(const char *path, sqlite3 **database, bool *read_only, struct error *error)
{
    struct error reason = ERROR_INIT;
    struct stat information;
    *database = NULL;
    bool exists = stat(path, &information) == 0;
    if (exists && S_ISDIR(information.st_mode))
        return error_set(error, STATUS_OUTSIDE, "'%s' is a folder", path);
    /* SQLite would take what is shorter than a page for an empty database and write over it. */
    if (exists && information.st_size > 0 && information.st_size < SMALLEST_PAGE)
        return error_set(error, STATUS_OUTSIDE, "'%s' is not a database", path);
    enum status status = open_for_writing(path, database, &reason);
    *read_only = status == STATUS_NO;
    if (!status)
        return STATUS_OK;
    sqlite3_close(*database);
    *database = NULL;
    if (*read_only) {
        reason.status = STATUS_OK;
        status = open_for_reading(path, database, &reason);
    }
    if (status)
        *error = reason;
    return status;
}
