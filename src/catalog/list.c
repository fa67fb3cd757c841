/* list.c: catalog_list(). */
#include "base/suggest.h"
#include "base/text.h"
#include "catalog/catalog.h"
#include "catalog/database.h"
#include "catalog/query.h"
#include "catalog/rules.h"
#include <ctype.h>
#include <string.h>

enum {
    LONGEST_TEXT = 1024 /* bytes of a search */
};

static enum status check_word(const char *what, const char *name, const struct words *words,
                              struct error *error)
{
    if (!name || word_known(words, name))
        return STATUS_OK;
    return suggest_error(error, what, name, words->names, words->count);
}

static enum status check_state(sqlite3 *database, const struct catalog_filter *filter, struct error *error)
{
    struct arena arena = ARENA_INIT;
    const char **states;
    size_t count;
    struct statement statement = statement_start(
        database, "SELECT state FROM character_state WHERE character = ?1 ORDER BY place", error);
    statement_bind_text(&statement, 1, filter->character);
    enum status status = query_strings(&statement, &arena, &states, &count);
    if (!status && filter->state && !word_known(&(struct words){states, count}, filter->state)) {
        const char *what = arena_format(&arena, "state of '%s'", filter->character);
        status = suggest_error(error, what, filter->state, states, count);
    }
    arena_release(&arena);
    return status;
}

static enum status check_filter(sqlite3 *database, const struct catalog_filter *filter, struct error *error)
{
    enum status status = check_word("kind", filter->kind, &rule_kinds, error);
    if (!status)
        status = check_word("slot", filter->slot, &rule_slots, error);
    if (!status && filter->text && strlen(filter->text) > LONGEST_TEXT)
        status = error_set(error, STATUS_USAGE, "text to search for is longer than %d bytes", LONGEST_TEXT);
    if (!status && filter->family)
        status =
            query_require(database, "family", filter->family, "SELECT key FROM family ORDER BY place", error);
    if (!status && filter->kernel)
        status =
            query_require(database, "kernel", filter->kernel,
                          "SELECT name FROM kernel UNION SELECT coalesce(kernel, planned) FROM slot", error);
    if (!status && filter->character)
        status = query_require(database, "character", filter->character,
                               "SELECT character FROM character_state GROUP BY character ORDER BY min(place)",
                               error);
    if (!status && filter->character)
        status = check_state(database, filter, error);
    return status;
}

/* FTS5's MATCH is a language: each word becomes a quoted string, which means nothing but itself, and a
 * prefix. */
static void quote_words(const char *words, struct text *query)
{
    for (const char *at = words; *at;) {
        size_t length = strcspn(at, " \t\n\v\f\r");
        if (length) {
            text_append(query, "\"");
            for (size_t i = 0; i < length; i++)
                text_append_bytes(query, at[i] == '"' ? "\"\"" : &at[i], at[i] == '"' ? 2 : 1);
            text_append(query, "\" * ");
        }
        at += length;
        at += strspn(at, " \t\n\v\f\r");
    }
}

static const char select_rows[] =
    "WITH hit (key, rank) AS MATERIALIZED ("
    "    SELECT key, bm25(variant_search, 10, 10, 5, 2, 1) FROM variant_search"
    "    WHERE ?1 IS NOT NULL AND variant_search MATCH coalesce(?1, '\"none\"'))" /* MATCH NULL is an error */
    " SELECT v.key, name, title, date, family, kind, year, runnable, missing, summary"
    " FROM variant AS v JOIN variant_state AS s ON s.variant = v.key LEFT JOIN hit ON hit.key = v.key"
    " WHERE (?1 IS NULL OR hit.key IS NOT NULL)"
    "   AND (?2 IS NULL OR family = ?2)"
    "   AND (?3 IS NULL OR kind = ?3)"
    "   AND ((?4 IS NULL AND ?5 IS NULL) OR EXISTS ("
    "       SELECT 1 FROM slot WHERE slot.variant = v.key AND (?4 IS NULL OR slot.slot = ?4)"
    "           AND (?5 IS NULL OR coalesce(kernel, planned) = ?5)))"
    "   AND (?6 IS NULL OR EXISTS ("
    "       SELECT 1 FROM trait AS t WHERE t.variant = v.key AND t.character = ?6"
    "           AND (?7 IS NULL OR t.state = ?7)))"
    "   AND (?8 = 0 OR CAST(substr(coalesce(date, year), 1, 4) AS INTEGER) >= ?8)"
    "   AND (?9 = 0 OR EXISTS (SELECT 1 FROM seed_row WHERE seed_row.variant = v.key))"
    "   AND (?10 = 0 OR missing IS NOT NULL)"
    " ORDER BY hit.rank, coalesce(date, year, '9999'), v.key";

static void read_seeds(struct statement *seeds, struct arena *arena, struct variant_row *row)
{
    statement_bind_text(seeds, 1, row->key);
    while (statement_step(seeds)) {
        row->seeds = arena_extend(arena, row->seeds, row->seed_count, sizeof *row->seeds);
        row->seeds[row->seed_count++] =
            (struct seed_row){statement_text(seeds, 0, arena), statement_text(seeds, 1, arena),
                              (int)statement_integer(seeds, 2)};
    }
    statement_reset(seeds);
}

static void read_authors(struct statement *authors, struct arena *arena, struct variant_row *row)
{
    statement_bind_text(authors, 1, row->key);
    while (statement_step(authors)) {
        row->authors = arena_extend(arena, row->authors, row->author_count, sizeof *row->authors);
        row->authors[row->author_count++] = statement_text(authors, 0, arena);
    }
    statement_reset(authors);
}

static struct variant_row read_row(struct statement *select, struct arena *arena)
{
    return (struct variant_row){
        .key = statement_text(select, 0, arena),
        .name = statement_text(select, 1, arena),
        .title = statement_text(select, 2, arena),
        .date = statement_text(select, 3, arena),
        .family = statement_text(select, 4, arena),
        .kind = statement_text(select, 5, arena),
        .year = (int)statement_integer(select, 6),
        .runnable = statement_integer(select, 7),
        .missing = statement_text(select, 8, arena),
        .summary = statement_text(select, 9, arena),
    };
}

enum status catalog_list(struct catalog *catalog, const struct catalog_filter *filter, struct arena *arena,
                         struct variant_row **rows, size_t *count, struct error *error)
{
    sqlite3 *database = catalog_database(catalog);
    enum status status = check_filter(database, filter, error);
    if (status)
        return status;
    struct text query;
    text_init(&query, 16 * LONGEST_TEXT);
    quote_words(filter->text ? filter->text : "", &query);

    struct statement select = statement_start(database, select_rows, error);
    struct statement seeds = statement_start(
        database, "SELECT list, part, number FROM seed_row WHERE variant = ?1 ORDER BY list, part, number",
        error);
    struct statement authors =
        statement_start(database, "SELECT name FROM author WHERE variant = ?1 ORDER BY place", error);
    statement_bind_text(&select, 1, query.length ? query.data : NULL);
    statement_bind_text(&select, 2, filter->family);
    statement_bind_text(&select, 3, filter->kind);
    statement_bind_text(&select, 4, filter->slot);
    statement_bind_text(&select, 5, filter->kernel);
    statement_bind_text(&select, 6, filter->character);
    statement_bind_text(&select, 7, filter->state);
    statement_bind_integer(&select, 8, filter->since);
    statement_bind_integer(&select, 9, filter->seeds);
    statement_bind_integer(&select, 10, filter->missing);
    *rows = NULL;
    *count = 0;
    while (statement_step(&select)) {
        *rows = arena_extend(arena, *rows, *count, sizeof **rows);
        (*rows)[*count] = read_row(&select, arena);
        read_seeds(&seeds, arena, &(*rows)[*count]);
        read_authors(&authors, arena, &(*rows)[(*count)++]);
    }
    status = statement_finish(&select);
    enum status seed_status = statement_finish(&seeds), author_status = statement_finish(&authors);
    text_release(&query);
    return status ? status : seed_status ? seed_status : author_status;
}
