/* work.h: a fetch under way, shared by its three steps. Private to scholar. */
#ifndef CLADE_SCHOLAR_WORK_H
#define CLADE_SCHOLAR_WORK_H

#include "scholar/client.h"
#include "scholar/fetch.h"
#include "scholar/identity.h"
#include "scholar/records.h"

/* One entry that is to be fetched. */
struct item {
    size_t entry; /* in the identities */
    struct paper_record record;
    bool known;       /* the record is a row of the database */
    size_t candidate; /* the next id to ask for; candidate_count: none is left, or none is needed */
    struct scholar_match match;
    bool matched; /* it is for the present title, and not stale */
    bool failed;  /* could not be had this time */
};

struct work {
    const struct fetch_options *options;
    const struct scholar_clock *clock;
    sqlite3 *database;
    struct arena *arena; /* of the caller: lives as long as the report */
    struct identities identities;
    struct item *items; /* sorted by key */
    size_t item_count;
    struct client *client;
    struct fetch_report *report;
    struct fetch_progress progress;
    double started; /* monotonic */
};

const struct identity *item_identity(const struct work *work, const struct item *item);

/* What each step has to do for an item, as things stand. */
bool item_needs_lookup(const struct work *work, const struct item *item);
bool item_needs_match(const struct work *work, const struct item *item);
bool item_needs_walk(const struct work *work, const struct item *item);

/* The steps. A failure that concerns one item is noted in the report; what is returned ends the fetch. */
enum status lookup_run(struct work *work, struct error *error);
enum status match_run(struct work *work, struct error *error);
enum status walk_run(struct work *work, struct error *error);
/* Makes the links anew from the stored pages if they were made with other ids than the present, or if
 * `always`. */
enum status walk_relink(struct work *work, bool always, struct error *error);

/* "/paper/..." of a step's first request for an item, in the arena. */
const char *lookup_path(void);
const char *match_path(const struct identity *identity, struct arena *arena);
const char *walk_path(const char *paper_id, int64_t offset, struct arena *arena);
int64_t walk_start(const struct paper_record *record); /* the offset of that request */

/* Whether a time of retrieval is to be taken for none: NULL, or before what the options say. */
bool is_stale(const struct work *work, const char *retrieved_at);
const char *work_now(const struct work *work, struct arena *arena); /* a timestamp */

/* Answers a GET: with what is stored, or else as client_ask() does. *stored says which. The body lives in
 * `arena` or until the next request. */
enum client_outcome work_ask(struct work *work, const struct client_request *request, struct arena *arena,
                             struct scholar_response *response, bool *stored, struct error *error);
/* Notes that an item cannot be had. */
void work_fail(struct work *work, struct item *item, const char *reason);
void work_show(struct work *work, const char *name); /* progress */

#endif
