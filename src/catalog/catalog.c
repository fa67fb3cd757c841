/* catalog.c: finding, making and refreshing the database. */
#include "catalog/catalog.h"
#include "base/file.h"
#include "base/suggest.h"
#include "catalog/contents.h"
#include "catalog/database.h"
#include "catalog/source.h"
#include "catalog/store.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct catalog {
    sqlite3 *database;
    struct arena arena; /* paths and the note */
    const char *path;
    const char *note;
};

/* What the database should hold, and the text that it must carry to be current. */
struct wanted {
    const struct catalog_options *options;
    const struct source *source; /* NULL: there is no catalogue, the database stands for itself */
    const char *fingerprint;
};

static const char *choose_path(const struct catalog_options *options, struct arena *arena, bool *is_default)
{
    const char *path = options->database ? options->database : getenv("CLADE_DB");
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    *is_default = !path || !*path;
    if (!*is_default)
        return arena_copy_string(arena, path);
    if (data && data[0] == '/')
        return arena_format(arena, "%s/clade/clade.db", data);
    if (home && home[0] == '/')
        return arena_format(arena, "%s/.local/share/clade/clade.db", home);
    return NULL;
}

/* The folder of the default database is made on first use; a folder that a person names must be there.
 * STATUS_NO if it cannot be made. */
static enum status prepare_folder(const char *path, bool is_default, struct error *error)
{
    char *folder = memory_copy_string(path), *slash = strrchr(folder, '/');
    enum status status = STATUS_OK;
    struct error reason = ERROR_INIT;
    if (slash && slash != folder) {
        *slash = '\0';
        if (is_default)
            status = directory_create(folder, &reason) ? STATUS_NO : STATUS_OK;
        else if (access(folder, F_OK) != 0)
            status = error_set(error, STATUS_OUTSIDE, "database '%s': no folder '%s'", path, folder);
    }
    free(folder);
    return status;
}

/* Everything that decides what the tables hold. */
static const char *full_fingerprint(const struct catalog_options *options, const struct source *source,
                                    struct arena *arena)
{
    uint64_t print = schema_fingerprint(source->fingerprint);
    for (size_t i = 0; i < options->kernel_count; i++) {
        const struct catalog_kernel *kernel = &options->kernels[i];
        print = fingerprint_mix(print, kernel->name, strlen(kernel->name));
        print = fingerprint_mix(print, kernel->slot, strlen(kernel->slot));
        if (kernel->origin)
            print = fingerprint_mix(print, kernel->origin, strlen(kernel->origin));
        for (size_t j = 0; j < kernel->trait_count; j++) {
            print = fingerprint_mix(print, kernel->traits[j].character, strlen(kernel->traits[j].character));
            const char *state =
                kernel->state ? kernel->state(kernel, "{}", kernel->traits[j].character) : NULL;
            state = state ? state : kernel->traits[j].state;
            print = fingerprint_mix(print, state, strlen(state));
        }
    }
    return arena_format(arena, "%016llx", (unsigned long long)print);
}

static enum status is_current(sqlite3 *database, const struct wanted *wanted, bool *current,
                              struct error *error)
{
    struct statement statement = statement_start(database, "SELECT fingerprint FROM catalogue", error);
    struct arena arena = ARENA_INIT;
    *current = statement_step(&statement) &&
               (!wanted->source || strcmp(statement_text(&statement, 0, &arena), wanted->fingerprint) == 0);
    arena_release(&arena);
    return statement_finish(&statement);
}

static enum status write_contents(sqlite3 *database, const struct wanted *wanted,
                                  const struct contents *contents, struct error *error)
{
    enum status status = store_contents(database, contents, error);
    if (status)
        return status;
    struct statement stamp =
        statement_start(database,
                        "INSERT OR REPLACE INTO catalogue (only, directory, fingerprint, built_at)"
                        " VALUES (1, ?1, ?2, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))",
                        error);
    statement_bind_text(&stamp, 1, wanted->source->directory);
    statement_bind_text(&stamp, 2, wanted->fingerprint);
    statement_run(&stamp);
    return statement_finish(&stamp);
}

/* Fills the catalogue's tables if they are not current; STATUS_NO if they are to be and cannot be written. */
static enum status refresh(sqlite3 *database, const struct wanted *wanted, struct error *error)
{
    bool current;
    enum status status = is_current(database, wanted, &current, error);
    if (status || current)
        return status;
    if (!wanted->source)
        return error_set(error, STATUS_OUTSIDE,
                         "no catalogue is installed: CLADE_CATALOG can name its folder");
    struct arena arena = ARENA_INIT;
    struct contents contents;
    status = contents_read(wanted->source, wanted->options->kernels, wanted->options->kernel_count, &arena,
                           &contents, error);
    if (!status) {
        status = database_begin(database, error);
        if (status && database_refuses_writing(database))
            status = STATUS_NO;
        else if (!status) {
            status = is_current(database, wanted, &current, error); /* another process may have been first */
            if (!status && !current)
                status = write_contents(database, wanted, &contents, error);
            if (status && database_refuses_writing(database))
                status = STATUS_NO;
            status = database_end(database, status, error);
        }
    }
    arena_release(&arena);
    return status;
}

/* Opens and refreshes one database; STATUS_NO and none if it is not usable as it stands and cannot be
 * written. */
static enum status open_one(const char *path, const struct wanted *wanted, sqlite3 **database,
                            struct error *error)
{
    bool read_only, current = false;
    enum status status = database_open(path, database, &read_only, error);
    if (status)
        return status;
    if (read_only) {
        if (*database)
            status = is_current(*database, wanted, &current, error);
        status = status || current ? status : STATUS_NO;
    } else {
        status = refresh(*database, wanted, error);
    }
    if (status) {
        sqlite3_close(*database);
        *database = NULL;
    }
    return status;
}

static enum status open_or_fall_back(struct catalog *catalog, const struct wanted *wanted, bool is_default,
                                     struct error *error)
{
    enum status status = STATUS_NO;
    struct error reason = ERROR_INIT;
    if (catalog->path)
        status = prepare_folder(catalog->path, is_default, &reason);
    if (!status)
        status = open_one(catalog->path, wanted, &catalog->database, &reason);
    if (status == STATUS_NO && wanted->source) {
        catalog->note = arena_format(
            &catalog->arena, "cannot write '%s': using a database in memory, what is measured is not kept",
            catalog->path ? catalog->path : "~/.local/share/clade/clade.db");
        catalog->path = ":memory:";
        status = open_one(catalog->path, wanted, &catalog->database, &reason);
    }
    if (status == STATUS_NO)
        status = error_set(&reason, STATUS_OUTSIDE, "cannot write '%s'",
                           catalog->path ? catalog->path : "the database");
    if (status)
        *error = reason;
    return status;
}

enum status catalog_open(const struct catalog_options *options, struct catalog **catalog, struct error *error)
{
    struct catalog *opened = memory_allocate_zero(1, sizeof *opened);
    struct arena files = ARENA_INIT; /* the catalogue's text is needed until the tables are filled */
    struct source source;
    struct wanted wanted = {.options = options};
    bool is_default;
    opened->path = choose_path(options, &opened->arena, &is_default);
    const char *directory = source_locate(options->directory, &files);
    enum status status = directory ? source_read(directory, &files, &source, error) : STATUS_OK;
    if (!status && directory) {
        wanted.source = &source;
        wanted.fingerprint = full_fingerprint(options, &source, &files);
    }
    if (!status)
        status = open_or_fall_back(opened, &wanted, is_default, error);
    arena_release(&files);
    if (status)
        catalog_close(opened);
    else
        *catalog = opened;
    return status;
}

void catalog_close(struct catalog *catalog)
{
    if (!catalog)
        return;
    sqlite3_close(catalog->database);
    arena_release(&catalog->arena);
    free(catalog);
}

const char *catalog_note(const struct catalog *catalog)
{
    return catalog->note;
}

const char *catalog_path(const struct catalog *catalog)
{
    return catalog->path;
}

sqlite3 *catalog_database(struct catalog *catalog)
{
    return catalog->database;
}
