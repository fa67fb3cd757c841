/* client.h: asks the service one thing, as often and as slowly as it must.
 *
 * One request is in flight at a time. A request that fails in a way that may pass (no answer, part of one,
 * one that cannot be read, HTTP 408, 429, 500, 502, 503, 504, 522, 524) is made again up to CLIENT_TRIES
 * times, after pauses that double and vary; Retry-After takes their place. Redirections are followed, at the
 * same pace, to http and https only; the key goes to the endpoint and nowhere else. */
#ifndef CLADE_SCHOLAR_CLIENT_H
#define CLADE_SCHOLAR_CLIENT_H

#include "base/error.h"
#include "scholar/clock.h"
#include <signal.h>
#include <sqlite3.h>
#include <stddef.h>

enum {
    CLIENT_TRIES = 5,     /* of one request */
    CLIENT_REDIRECTS = 5, /* of one try */
    CLIENT_PATIENCE = 3,  /* requests that fail in a row before the service is taken to be down */
};

struct client_options {
    sqlite3 *database;    /* keeps the pace */
    const char *endpoint; /* without a slash at its end */
    const char *key;      /* NULL for none */
    const char *user_agent;
    double interval, backoff; /* seconds between requests; the first pause after a failure */
    double timeout, time;     /* seconds for an exchange; for everything from client_open() on */
    const struct scholar_clock *clock;
    const volatile sig_atomic_t *stop;          /* as in pace.h */
    void (*tick)(void *data, double remaining); /* while waiting, with the seconds that remain; may be NULL */
    void *data;
};

struct client_request {
    const char *name; /* what is asked, for messages: "references of 'gla'" */
    const char *path; /* with the query; added to the endpoint */
    const char *json; /* the body of a POST; NULL for a GET */
    /* Reads the body of an answer with status 200; a failure counts as one that may pass. */
    enum status (*read)(void *context, const char *body, size_t length, struct error *error);
    void *context;
};

enum client_outcome {
    CLIENT_ANSWERED, /* status 200 with a body that was read, or 400 or 404 */
    CLIENT_FAILED,   /* this request; others may do better */
    CLIENT_STOPPED, /* no other request may be made: out of time, interrupted, refused, the service is down */
};

struct client_answer {
    int status;       /* of HTTP */
    const char *body; /* until the next request */
    size_t length;
};

struct client;
/* STATUS_USAGE for an endpoint or a key that cannot be. */
enum status client_open(const struct client_options *options, struct client **client, struct error *error);
void client_close(struct client *client); /* NULL is fine */

/* `error` is set unless the outcome is CLIENT_ANSWERED. */
enum client_outcome client_ask(struct client *client, const struct client_request *request,
                               struct client_answer *answer, struct error *error);

struct client_counts {
    size_t requests; /* sent, redirections included */
    size_t repeats;  /* of them after a failure */
};
struct client_counts client_counts(const struct client *client);

#endif
