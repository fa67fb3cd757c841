#include "scholar/records.h"
#include "catalog/catalog.h"
#include "catalog/database.h"
#include "scholar/identity.h"
#include <string.h>

const char *const paper_state_names[PAPER_STATES] = {
    [PAPER_PARTIAL] = "partial", [PAPER_COMPLETE] = "complete", [PAPER_CAPPED] = "capped",
    [PAPER_EMPTY] = "empty",     [PAPER_ELIDED] = "elided",     [PAPER_NOT_FOUND] = "not-found",
    [PAPER_FAILED] = "failed",
};
const char *const match_verdict_names[MATCH_VERDICTS] = {"proposed", "accepted", "refused"};

/* The index of a name; the tables' checks admit no other. */
static int index_of(const char *const *names, int count, const char *name)
{
    for (int i = 0; name && i < count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return 0;
}

/* Counts are -1 and years 0 where the column is NULL. */
static int64_t count_column(struct statement *statement, int column)
{
    return statement_null(statement, column) ? -1 : statement_integer(statement, column);
}

static void bind_known(struct statement *statement, int parameter, bool known, int64_t value)
{
    if (known)
        statement_bind_integer(statement, parameter, value);
    else
        statement_bind_null(statement, parameter);
}

/* ---- papers ---- */

enum status papers_read(sqlite3 *database, struct arena *arena, struct paper_record **records, size_t *count,
                        struct error *error)
{
    struct statement select = statement_start(
        database,
        "SELECT variant, asked_id, paper_id, state, next_offset, title, year, reference_count,"
        " citation_count, retrieved_at, entry_ids, looked_up_at, rows_received, arxiv, doi, acl"
        " FROM scholar_paper ORDER BY variant",
        error);
    *records = NULL;
    *count = 0;
    while (statement_step(&select)) {
        *records = arena_extend(arena, *records, *count, sizeof **records);
        (*records)[(*count)++] = (struct paper_record){
            .variant = statement_text(&select, 0, arena),
            .asked_id = statement_text(&select, 1, arena),
            .state = (enum paper_state)index_of(paper_state_names, PAPER_STATES,
                                                statement_text(&select, 3, arena)),
            .next_offset = statement_integer(&select, 4),
            .paper = {.id = statement_text(&select, 2, arena),
                      .title = statement_text(&select, 5, arena),
                      .year = (int)statement_integer(&select, 6),
                      .reference_count = count_column(&select, 7),
                      .citation_count = count_column(&select, 8),
                      .arxiv = statement_text(&select, 13, arena),
                      .doi = statement_text(&select, 14, arena),
                      .acl = statement_text(&select, 15, arena)},
            .retrieved_at = statement_text(&select, 9, arena),
            .entry_ids = statement_text(&select, 10, arena),
            .looked_up_at = statement_text(&select, 11, arena),
            .rows_received = statement_integer(&select, 12),
        };
    }
    return statement_finish(&select);
}

enum status paper_write(sqlite3 *database, const struct paper_record *record, struct error *error)
{
    struct statement insert = statement_start(
        database,
        "INSERT OR REPLACE INTO scholar_paper (variant, asked_id, paper_id, state, next_offset, title, year,"
        " reference_count, citation_count, retrieved_at, entry_ids, looked_up_at, rows_received, arxiv, doi, "
        "acl)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        error);
    const struct scholar_paper *paper = &record->paper;
    statement_bind_text(&insert, 1, record->variant);
    statement_bind_text(&insert, 2, record->asked_id);
    statement_bind_text(&insert, 3, paper->id);
    statement_bind_text(&insert, 4, paper_state_names[record->state]);
    statement_bind_integer(&insert, 5, record->next_offset);
    statement_bind_text(&insert, 6, paper->title);
    bind_known(&insert, 7, paper->year > 0, paper->year);
    bind_known(&insert, 8, paper->reference_count >= 0, paper->reference_count);
    bind_known(&insert, 9, paper->citation_count >= 0, paper->citation_count);
    statement_bind_text(&insert, 10, record->retrieved_at);
    statement_bind_text(&insert, 11, record->entry_ids);
    statement_bind_text(&insert, 12, record->looked_up_at);
    statement_bind_integer(&insert, 13, record->rows_received);
    statement_bind_text(&insert, 14, paper->arxiv);
    statement_bind_text(&insert, 15, paper->doi);
    statement_bind_text(&insert, 16, paper->acl);
    statement_run(&insert);
    return statement_finish(&insert);
}

/* ---- matches of titles ---- */

enum status matches_read(sqlite3 *database, struct arena *arena, struct scholar_match **matches,
                         size_t *count, struct error *error)
{
    struct statement select = statement_start(
        database,
        "SELECT variant, query, paper_id, title, author, year, reference_count, citation_count, similarity,"
        " verdict, retrieved_at FROM scholar_match ORDER BY variant",
        error);
    *matches = NULL;
    *count = 0;
    while (statement_step(&select)) {
        *matches = arena_extend(arena, *matches, *count, sizeof **matches);
        (*matches)[(*count)++] = (struct scholar_match){
            .variant = statement_text(&select, 0, arena),
            .query = statement_text(&select, 1, arena),
            .paper = {.id = statement_text(&select, 2, arena),
                      .title = statement_text(&select, 3, arena),
                      .author = statement_text(&select, 4, arena),
                      .year = (int)statement_integer(&select, 5),
                      .reference_count = count_column(&select, 6),
                      .citation_count = count_column(&select, 7)},
            .similarity = statement_null(&select, 8) ? 0 : statement_real(&select, 8),
            .verdict = (enum match_verdict)index_of(match_verdict_names, MATCH_VERDICTS,
                                                    statement_text(&select, 9, arena)),
            .retrieved_at = statement_text(&select, 10, arena),
        };
    }
    return statement_finish(&select);
}

enum status match_write(sqlite3 *database, const struct scholar_match *match, struct error *error)
{
    struct statement insert = statement_start(database,
                                              "INSERT OR REPLACE INTO scholar_match (variant, query, "
                                              "paper_id, title, author, year, reference_count,"
                                              " citation_count, similarity, verdict, retrieved_at) VALUES "
                                              "(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                                              error);
    const struct scholar_paper *paper = &match->paper;
    statement_bind_text(&insert, 1, match->variant);
    statement_bind_text(&insert, 2, match->query);
    statement_bind_text(&insert, 3, paper->id);
    statement_bind_text(&insert, 4, paper->title);
    statement_bind_text(&insert, 5, paper->author);
    bind_known(&insert, 6, paper->year > 0, paper->year);
    bind_known(&insert, 7, paper->reference_count >= 0, paper->reference_count);
    bind_known(&insert, 8, paper->citation_count >= 0, paper->citation_count);
    statement_bind_real(&insert, 9, match->similarity);
    statement_bind_text(&insert, 10, match_verdict_names[match->verdict]);
    statement_bind_text(&insert, 11, match->retrieved_at);
    statement_run(&insert);
    return statement_finish(&insert);
}

/* ---- answers as they came ---- */

enum status response_read(sqlite3 *database, const char *request, const char *before, struct arena *arena,
                          struct scholar_response *response, bool *found, struct error *error)
{
    struct statement select = statement_start(database,
                                              "SELECT status, body, retrieved_at FROM scholar_response"
                                              " WHERE request = ?1 AND retrieved_at >= coalesce(?2, '')",
                                              error);
    statement_bind_text(&select, 1, request);
    statement_bind_text(&select, 2, before);
    *found = statement_step(&select);
    if (*found) {
        const void *bytes = sqlite3_column_blob(select.handle, 1);
        size_t length = (size_t)sqlite3_column_bytes(select.handle, 1);
        char *body = arena_allocate(arena, length + 1);
        if (length)
            memcpy(body, bytes, length);
        *response = (struct scholar_response){(int)statement_integer(&select, 0), body, length,
                                              statement_text(&select, 2, arena)};
    }
    return statement_finish(&select);
}

enum status response_write(sqlite3 *database, const char *request, const struct scholar_response *response,
                           struct error *error)
{
    struct statement insert =
        statement_start(database,
                        "INSERT OR REPLACE INTO scholar_response (request, status, body, retrieved_at)"
                        " VALUES (?1, ?2, ?3, ?4)",
                        error);
    statement_bind_text(&insert, 1, request);
    statement_bind_integer(&insert, 2, response->status);
    statement_bind_blob(&insert, 3, response->body, response->length);
    statement_bind_text(&insert, 4, response->retrieved_at);
    statement_run(&insert);
    return statement_finish(&insert);
}

/* ---- links ---- */

enum status links_clear(sqlite3 *database, const char *citing, struct error *error)
{
    struct statement delete = statement_start(database, "DELETE FROM fetched_link WHERE citing = ?1", error);
    statement_bind_text(&delete, 1, citing);
    statement_run(&delete);
    return statement_finish(&delete);
}

enum status links_add(sqlite3 *database, const struct identities *identities, size_t citing,
                      const struct scholar_reference *references, size_t count, const char *retrieved_at,
                      struct error *error)
{
    struct statement insert = statement_start(
        database,
        "INSERT INTO fetched_link (citing, cited, methodology, background, result, influential, contexts,"
        " retrieved_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
        " ON CONFLICT DO UPDATE SET methodology = methodology | excluded.methodology,"
        " background = background | excluded.background, result = result | excluded.result,"
        " influential = max(coalesce(influential, excluded.influential), coalesce(excluded.influential, "
        "influential)),"
        " contexts = max(coalesce(contexts, excluded.contexts), coalesce(excluded.contexts, contexts)),"
        " retrieved_at = excluded.retrieved_at",
        error);
    statement_bind_text(&insert, 1, identities->entries[citing].key);
    statement_bind_text(&insert, 8, retrieved_at);
    for (size_t i = 0; i < count; i++) {
        const struct scholar_reference *reference = &references[i];
        ptrdiff_t cited = identities_find(identities, &reference->paper);
        if (cited < 0 || (size_t)cited == citing)
            continue;
        statement_bind_text(&insert, 2, identities->entries[cited].key);
        statement_bind_integer(&insert, 3, (reference->intents & INTENT_METHODOLOGY) != 0);
        statement_bind_integer(&insert, 4, (reference->intents & INTENT_BACKGROUND) != 0);
        statement_bind_integer(&insert, 5, (reference->intents & INTENT_RESULT) != 0);
        bind_known(&insert, 6, reference->influential >= 0, reference->influential);
        bind_known(&insert, 7, reference->contexts >= 0, reference->contexts);
        statement_run(&insert);
    }
    return statement_finish(&insert);
}
