/* fetch.h: brings the papers of the catalogue and the citations among them from Semantic Scholar into the
 * database.
 *
 * Look-up (a batch of ids), match of titles (for entries that no id leads from), walk (the pages of each
 * paper's references). Every answer is kept, with what follows from it, in one transaction, before the next
 * request is made: whatever ends a fetch, the next one goes on behind the last answer. What a person curated
 * is never changed; where the service says something else, the report does too. */
#ifndef CLADE_SCHOLAR_FETCH_H
#define CLADE_SCHOLAR_FETCH_H

#include "catalog/catalog.h"
#include "scholar/clock.h"
#include "scholar/records.h"
#include <signal.h>

#define SCHOLAR_ENDPOINT "https://api.semanticscholar.org/graph/v1"

/* Seconds between requests that the service permits, with something to spare. */
#define SCHOLAR_INTERVAL 1.1

struct fetch_progress {
    size_t done, total;   /* requests; the total is an estimate that grows at most a little */
    const char *name;     /* of what is asked */
    double wait, elapsed; /* seconds until the next request, or 0; and since the first */
};

enum confirmation { CONFIRM_YES, CONFIRM_NO, CONFIRM_LATER };

struct fetch_options {
    const char *endpoint;
    const char *key; /* NULL or "" for none */
    const char *user_agent;
    double interval, backoff, timeout, time; /* as in client.h */
    const char *const *keys;                 /* entries to fetch, valid ones; NULL: all */
    size_t key_count;
    const char *before; /* timestamp: what was fetched earlier is fetched again; NULL: nothing is */
    double threshold;   /* least similarity of titles, 0 to 1, for a match to be accepted */
    bool accept;        /* accepts matches that reach it, without asking */
    enum confirmation (*confirm)(void *data, const struct scholar_match *match,
                                 const char *title);                     /* or NULL */
    void (*progress)(void *data, const struct fetch_progress *progress); /* or NULL */
    void *data;                                                          /* of both */
    const volatile sig_atomic_t *stop; /* becomes nonzero when the person wants an end; or NULL */
    const struct scholar_clock *clock; /* NULL: the system's */
};

/* A paper that could not be had this time. */
struct fetch_failure {
    const char *variant, *reason;
};

struct fetch_report {
    size_t requests, repeats,
        cached; /* sent, of them after failures, and not sent because the answer is here */
    double seconds;
    size_t variants;             /* that were to be fetched */
    size_t states[PAPER_STATES]; /* of them, as they are now */
    size_t unknown;              /* of them, without a row: neither ids nor title, or not reached */
    struct fetch_failure *failures;
    size_t failure_count;
    struct scholar_match *proposals; /* that await a person */
    size_t proposal_count;
};

/* `report` is filled in whatever is returned. STATUS_OUTSIDE if the fetch had to stop; a paper that fails
 * alone does not stop it. The database must be writable and the lock (lock.h) taken. */
enum status fetch_run(struct catalog *catalog, const struct fetch_options *options, struct arena *arena,
                      struct fetch_report *report, struct error *error);

/* Makes the links anew from the answers that are in the database, and asks nobody. */
enum status fetch_offline(struct catalog *catalog, const struct fetch_options *options, struct arena *arena,
                          struct fetch_report *report, struct error *error);

/* The first request of each thing that fetch_run() would ask for: "GET /paper/..."; nothing is asked or
 * changed. */
struct planned_request {
    const char *variant; /* NULL for a batch */
    const char *request;
};
enum status fetch_plan(struct catalog *catalog, const struct fetch_options *options, struct arena *arena,
                       struct planned_request **requests, size_t *count, struct error *error);

#endif
