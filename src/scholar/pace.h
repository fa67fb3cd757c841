/* pace.h: when the next request may be made. The time is kept in the database, so that a process that
 * follows, or one that follows a kill, keeps the distance too. */
#ifndef CLADE_SCHOLAR_PACE_H
#define CLADE_SCHOLAR_PACE_H

#include "base/error.h"
#include "scholar/clock.h"
#include <signal.h>
#include <sqlite3.h>

enum {
    LONGEST_PAUSE =
        3600 /* seconds; a service that wants more is believed so far, and a clock set back costs no more */
};

struct pace {
    sqlite3 *database;
    const char *endpoint;
    const struct scholar_clock *clock;
    double interval;                   /* seconds from the end of one request to the next */
    double not_before, deadline;       /* monotonic; no request is made, or waited for, past the deadline */
    const volatile sig_atomic_t *stop; /* becomes nonzero when the person wants an end; may be NULL */
    void (*tick)(void *data, double remaining); /* while waiting, some times a second; may be NULL */
    void *data;
};

/* Takes over what another process left; the members above it are set by the caller. */
enum status pace_open(struct pace *pace, struct error *error);
/* Waits for the turn and takes it: the next is not before `interval` from now. STATUS_OUTSIDE at once if the
 * turn would come after the deadline, or when `stop` asks for an end. */
enum status pace_take(struct pace *pace, struct error *error);
/* The next turn is not before `seconds` (bounded) from now. After each request, with the interval or with
 * what the service or a failure demands. */
enum status pace_delay(struct pace *pace, double seconds, struct error *error);

#endif
