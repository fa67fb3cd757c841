/* crossing.h: from which length on one of two is the faster.
 *
 * The two are compared at doubling lengths. The last change of the faster one among these is bracketed by the
 * nearest lengths at which the difference is sure, and the bracket halved on the scale of the logarithm until
 * the two tie, the bracket is narrow or the budget is spent. Between the compared lengths the ratio of the
 * times is taken as a power of the length: where it passes 1 they cross; where the ends of its range do, the
 * crossing may as well be.
 *
 * Nothing here looks at a clock: a comparison says what it cost. */
#ifndef CLADE_BENCH_CROSSING_H
#define CLADE_BENCH_CROSSING_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct crossing_point {
    int64_t length;
    double ratio;     /* time of the first over time of the second, and */
    double low, high; /* between what it is: the two tie if 1 is */
    double cost_s;    /* what the comparison took */
    size_t bytes;     /* what it held at most */
};

/* -1 if the first is the faster, 1 if the second is, 0 for a tie. */
int crossing_sign(const struct crossing_point *point);

struct crossing_search {
    int64_t first, last; /* lengths, 1 <= first <= last */
    double budget_s;     /* a comparison that would pass it is not made, but for the first */
    size_t memory;       /* nor one that would hold more bytes */
    /* Fills ratio to bytes for a length. STATUS_USAGE if one of the two does not take that length; another
     * failure ends the search. */
    enum status (*compare)(void *argument, int64_t length, struct crossing_point *point, struct error *error);
    void *argument;
};

enum crossing_end { /* why no longer length was tried */
                    CROSSING_LENGTH,
                    CROSSING_BUDGET,
                    CROSSING_MEMORY,
                    CROSSING_REFUSED,
};
extern const char *const crossing_end_names[]; /* "length", "budget", "memory", "refused" */

enum { CROSSING_POINTS = 64 };
struct crossing {
    struct crossing_point points[CROSSING_POINTS]; /* by ascending length */
    size_t count;
    enum crossing_end end;
    struct error refusal; /* of the length after the longest, or of the first if none was taken */
    /* Who is the faster at the longest length at which that is sure, as crossing_sign() says; 0 if they tie
     * everywhere. */
    int winner;
    int changes; /* of the faster one, ties left out */
    double length, low,
        high; /* of the last change: where they cross, and between what; NaN if there is none */
};

/* STATUS_USAGE if no length is taken. */
enum status crossing_find(const struct crossing_search *search, struct crossing *crossing,
                          struct error *error);

#endif
