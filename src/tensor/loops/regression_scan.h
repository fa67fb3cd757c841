/* regression_scan.h: the recurrence of online regression over a few neighbouring channels.
 *
 * The states of REGRESSION_LANES channels lie as [states, REGRESSION_LANES]. Rows of u, delta and y start at
 * the first of these channels and are `channels` apart, those of k and q are [states]. */
#ifndef CLADE_TENSOR_LOOPS_REGRESSION_SCAN_H
#define CLADE_TENSOR_LOOPS_REGRESSION_SCAN_H

#include "tensor/loops/loops.h"

enum { REGRESSION_LANES = 16 }; /* channels of a call: one vector of the widest kind */

struct regression_block {
    int64_t count, channels, states; /* count: channels in use, at most REGRESSION_LANES */
    const real *u, *delta, *k, *q;
};

struct regression_gradients {
    real *u, *delta; /* of the layout of u, added to; may be NULL */
    real *k, *q;     /* of the layout of k, added to: these channels' share */
    const real *y;   /* given; NULL for zero */
};

struct regression_scan_loops {
    /* State `after` token t from that `before`, which may be the same; y, the token's row of results, may be
     * NULL. */
    void (*advance)(const struct regression_block *block, int64_t t, const real *before, real *after,
                    real *y);
    /* g is the gradient of the state after token t, and becomes that of the state before. */
    void (*backward)(const struct regression_block *block, int64_t t, const real *before, const real *after,
                     real *g, const struct regression_gradients *to);
};

LOOPS_DECLARE(struct regression_scan_loops, regression_scan_loops)

#endif
