#include "catalog/query.h"
#include "base/suggest.h"
#include "catalog/catalog.h"
#include <string.h>

enum status query_strings(struct statement *statement, struct arena *arena, const char ***strings,
                          size_t *count)
{
    *strings = NULL;
    *count = 0;
    while (statement_step(statement)) {
        *strings = arena_extend(arena, *strings, *count, sizeof **strings);
        (*strings)[(*count)++] = statement_text(statement, 0, arena);
    }
    return statement_finish(statement);
}

enum status query_require(sqlite3 *database, const char *what, const char *name, const char *sql,
                          struct error *error)
{
    struct arena arena = ARENA_INIT;
    struct statement statement = statement_start(database, sql, error);
    const char **names;
    size_t count;
    enum status status = query_strings(&statement, &arena, &names, &count);
    bool known = false;
    for (size_t i = 0; i < count && !known; i++)
        known = strcmp(names[i], name) == 0;
    if (!status && !known)
        status = suggest_error(error, what, name, names, count);
    arena_release(&arena);
    return status;
}

enum status catalog_require(struct catalog *catalog, const char *key, struct error *error)
{
    sqlite3 *database = catalog_database(catalog);
    struct arena arena = ARENA_INIT;
    enum status status =
        query_require(database, "variant", key, "SELECT key FROM variant ORDER BY key", error);
    if (status == STATUS_USAGE) { /* a name as people write it beats a key that merely looks alike */
        struct error ignored = ERROR_INIT;
        struct statement statement = statement_start(
            database, "SELECT key FROM variant WHERE name = ?1 COLLATE NOCASE ORDER BY key LIMIT 1",
            &ignored);
        statement_bind_text(&statement, 1, key);
        if (statement_step(&statement))
            error_set(error, STATUS_USAGE, "unknown variant '%s': did you mean '%s'?", key,
                      statement_text(&statement, 0, &arena));
        statement_finish(&statement);
    }
    arena_release(&arena);
    return status;
}
