/* session.h: measurements taken together: interleaved rounds in random order, so that a machine whose speed
 * drifts is unfair to nobody, until the medians are sure or the time is spent. */
#ifndef CLADE_BENCH_SESSION_H
#define CLADE_BENCH_SESSION_H

#include "bench/measurement.h"
#include "bench/roofline.h"
#include <time.h>

struct session {
    struct measurement *measurements; /* opened by the caller */
    size_t count;
    double budget_s; /* of all rounds together */
    /* A measurement is sure when its spread is below this part of its median; 0.02 is usual. */
    double precision;
    size_t least_rounds;                               /* 5 if 0 */
    uint64_t seed;                                     /* of the order */
    time_t started;                                    /* set by the first run; 0 before */
    struct roofline roofline;                          /* measured before, in the middle and after */
    bool roofline_given;                               /* it is the caller's, and stays as it is */
    void (*progress)(void *argument, double fraction); /* may be NULL */
    void *argument;
};

/* At least 5 rounds each (or `least_rounds`), at most 200. */
void session_run(struct session *session);

/* Closes the measurements and frees their array. */
void session_close(struct session *session);

/* Whether the difference of two medians lies within their spreads. */
bool session_tie(const struct measurement *a, const struct measurement *b);

#endif
