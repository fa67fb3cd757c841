/* records.h: what was fetched, as rows of the database (schema/0002-scholar.sql, 0004-fetch.sql). */
#ifndef CLADE_SCHOLAR_RECORDS_H
#define CLADE_SCHOLAR_RECORDS_H

#include "base/error.h"
#include "base/memory.h"
#include "scholar/answer.h"
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- papers ---- */

enum paper_state {
    PAPER_PARTIAL,
    PAPER_COMPLETE,
    PAPER_CAPPED,
    PAPER_EMPTY,
    PAPER_ELIDED,
    PAPER_NOT_FOUND,
    PAPER_FAILED,
    PAPER_STATES
};
extern const char *const paper_state_names[PAPER_STATES];

struct paper_record {
    const char *variant;  /* key */
    const char *asked_id; /* NULL: the paper was found by its title, or is not found */
    enum paper_state state;
    struct scholar_paper paper; /* without author; the id is NULL if none is known */
    int64_t next_offset, rows_received;
    const char *entry_ids, *looked_up_at, *retrieved_at;
};

/* All of them, sorted by variant. */
enum status papers_read(sqlite3 *database, struct arena *arena, struct paper_record **records, size_t *count,
                        struct error *error);
enum status paper_write(sqlite3 *database, const struct paper_record *record, struct error *error);

/* ---- matches of titles ---- */

enum match_verdict { MATCH_PROPOSED, MATCH_ACCEPTED, MATCH_REFUSED, MATCH_VERDICTS };
extern const char *const match_verdict_names[MATCH_VERDICTS];

struct scholar_match {
    const char *variant, *query;
    struct scholar_paper paper; /* the id is NULL if the service has no near title */
    double similarity;          /* of query and title, 0 to 1 */
    enum match_verdict verdict;
    const char *retrieved_at;
};

enum status matches_read(sqlite3 *database, struct arena *arena, struct scholar_match **matches,
                         size_t *count, struct error *error);
enum status match_write(sqlite3 *database, const struct scholar_match *match, struct error *error);

/* ---- answers as they came ---- */

struct scholar_response {
    int status;
    const char *body; /* in the arena, with a NUL behind it */
    size_t length;
    const char *retrieved_at;
};

/* *found says whether there is one that is not older than `before` (NULL: of any age). */
enum status response_read(sqlite3 *database, const char *request, const char *before, struct arena *arena,
                          struct scholar_response *response, bool *found, struct error *error);
enum status response_write(sqlite3 *database, const char *request, const struct scholar_response *response,
                           struct error *error);

/* ---- links ---- */

struct identities;

/* Adds the references that are entries of the catalogue; of two to one entry the union. */
enum status links_add(sqlite3 *database, const struct identities *identities, size_t citing,
                      const struct scholar_reference *references, size_t count, const char *retrieved_at,
                      struct error *error);
enum status links_clear(sqlite3 *database, const char *citing, struct error *error);

#endif
