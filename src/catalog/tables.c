/* tables.c: whole tables and vocabularies. */
#include "base/suggest.h"
#include "catalog/catalog.h"
#include "catalog/database.h"
#include "catalog/query.h"

/* The columns of the next row, as text, through the arena of the caller. */
#define TEXT(column) statement_text(&select, column, arena)
#define INTEGER(column) ((int)statement_integer(&select, column))

enum status catalog_parent_links(struct catalog *catalog, struct arena *arena, struct parent_link **links,
                                 size_t *count, struct error *error)
{
    struct statement select =
        statement_start(catalog_database(catalog),
                        "SELECT child, parent, is_primary, changed, exception FROM parent"
                        " ORDER BY child, is_primary DESC, place",
                        error);
    *links = NULL;
    *count = 0;
    while (statement_step(&select)) {
        *links = arena_extend(arena, *links, *count, sizeof **links);
        (*links)[(*count)++] = (struct parent_link){TEXT(0), TEXT(1), INTEGER(2), TEXT(3), TEXT(4)};
    }
    return statement_finish(&select);
}

enum status catalog_compositions(struct catalog *catalog, struct arena *arena, struct composition_row **rows,
                                 size_t *count, struct error *error)
{
    struct statement select =
        statement_start(catalog_database(catalog),
                        "SELECT variant, layer, layer_name, slot, kernel, planned, options FROM slot"
                        " ORDER BY variant, layer, slot",
                        error);
    *rows = NULL;
    *count = 0;
    while (statement_step(&select)) {
        *rows = arena_extend(arena, *rows, *count, sizeof **rows);
        (*rows)[(*count)++] =
            (struct composition_row){TEXT(0), INTEGER(1), TEXT(2), TEXT(3), TEXT(4), TEXT(5), TEXT(6)};
    }
    return statement_finish(&select);
}

enum status catalog_traits(struct catalog *catalog, struct arena *arena, struct trait_row **rows,
                           size_t *count, struct error *error)
{
    struct statement select = statement_start(
        catalog_database(catalog),
        "SELECT variant, layer, slot, kernel, character, state"
        " FROM trait JOIN slot USING (variant, layer, slot) ORDER BY variant, layer, slot, character",
        error);
    *rows = NULL;
    *count = 0;
    while (statement_step(&select)) {
        *rows = arena_extend(arena, *rows, *count, sizeof **rows);
        (*rows)[(*count)++] = (struct trait_row){TEXT(0), INTEGER(1), TEXT(2), TEXT(3), TEXT(4), TEXT(5)};
    }
    return statement_finish(&select);
}

enum status catalog_citations(struct catalog *catalog, const char *key, struct arena *arena,
                              struct citation_link **links, size_t *count, struct error *error)
{
    struct statement select = statement_start(
        catalog_database(catalog),
        "SELECT citing, cited, methodology * ?2 + background * ?3 + result * ?4,"
        " coalesce(influential, -1), coalesce(contexts, -1), source, retrieved_at FROM citation"
        " WHERE ?1 IS NULL OR citing = ?1 OR cited = ?1 ORDER BY citing, cited",
        error);
    statement_bind_text(&select, 1, key);
    statement_bind_integer(&select, 2, INTENT_METHODOLOGY);
    statement_bind_integer(&select, 3, INTENT_BACKGROUND);
    statement_bind_integer(&select, 4, INTENT_RESULT);
    *links = NULL;
    *count = 0;
    while (statement_step(&select)) {
        *links = arena_extend(arena, *links, *count, sizeof **links);
        (*links)[(*count)++] = (struct citation_link){
            TEXT(0), TEXT(1), (unsigned)INTEGER(2), INTEGER(3), INTEGER(4), TEXT(5), TEXT(6)};
    }
    return statement_finish(&select);
}

enum status catalog_families(struct catalog *catalog, struct arena *arena, struct family **families,
                             size_t *count, struct error *error)
{
    struct statement select = statement_start(
        catalog_database(catalog), "SELECT key, name, colour, about FROM family ORDER BY place", error);
    *families = NULL;
    *count = 0;
    while (statement_step(&select)) {
        *families = arena_extend(arena, *families, *count, sizeof **families);
        (*families)[(*count)++] = (struct family){TEXT(0), TEXT(1), TEXT(2), TEXT(3)};
    }
    return statement_finish(&select);
}

enum status catalog_characters(struct catalog *catalog, struct arena *arena, struct character_state **states,
                               size_t *count, struct error *error)
{
    struct statement select = statement_start(
        catalog_database(catalog),
        "SELECT character, character_about, state, state_about FROM character_state ORDER BY place", error);
    *states = NULL;
    *count = 0;
    while (statement_step(&select)) {
        *states = arena_extend(arena, *states, *count, sizeof **states);
        (*states)[(*count)++] = (struct character_state){TEXT(0), TEXT(1), TEXT(2), TEXT(3)};
    }
    return statement_finish(&select);
}

enum status catalog_suite(struct catalog *catalog, const char *key, struct arena *arena,
                          const char ***members, size_t *count, struct error *error)
{
    sqlite3 *database = catalog_database(catalog);
    enum status status = query_require(database, "suite", key,
                                       "SELECT DISTINCT suite FROM suite_member ORDER BY suite", error);
    if (status)
        return status;
    struct statement select =
        statement_start(database, "SELECT variant FROM suite_member WHERE suite = ?1 ORDER BY place", error);
    statement_bind_text(&select, 1, key);
    return query_strings(&select, arena, members, count);
}
