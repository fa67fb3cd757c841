/* cross_measure.h: the measurements of `clade cross`. */
#ifndef CLADE_CLI_CROSS_MEASURE_H
#define CLADE_CLI_CROSS_MEASURE_H

#include "cli/cross_report.h"
#include "cli/timed.h"

struct cross_order {
    const struct timed *timed; /* two variants */
    int64_t shortest, longest, width, batch;
    double budget_s; /* of all answers together */
    uint64_t seed;
};

/* Fills the answers, whose modes and scopes are set, and the session, whose measurements are in the order
 * that struct cross_report wants. A mode or scope that one of the two has not gets a refusal; STATUS_USAGE if
 * all do. Close the session whatever comes back. */
enum status cross_measure(const struct cross_order *order, struct cross_answer *answers, size_t count,
                          struct session *session, struct error *error);

#endif
