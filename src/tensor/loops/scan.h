/* scan.h: linear recurrences over a block of neighbouring channels, all steps in one call. */
#ifndef CLADE_TENSOR_LOOPS_SCAN_H
#define CLADE_TENSOR_LOOPS_SCAN_H

#include "tensor/loops/loops.h"
#include <stdbool.h>

/* `count` channels of `steps` steps. The factors of a step are one a channel or, with a_shared, one for all.
 * Rows of a, b, h and so on are `..._step` apart, 0 for factors that are the same at all steps. Complex
 * numbers are neighbours (real, imaginary) and count as one channel. */
struct scan_block {
    int64_t steps, count;
    bool a_shared;
    const real *a, *b, *before; /* before: h_{-1}, or NULL for zero */
    int64_t a_step, b_step, h_step;
};

struct scan_loops {
    /* h_t = a_t h_{t-1} + b_t */
    void (*forward[2])(const struct scan_block *block, real *h);
    /* g enters as dL/dh_{steps-1} through later steps (or zeros) and leaves as dL/dh_{-1}. dy is of h's
     * layout, db of b's; rows of da are da_step apart. dy, db and da may be NULL; the latter two are added
     * to. */
    void (*backward[2])(const struct scan_block *block, const real *h, const real *dy, real *g, real *db,
                        real *da, int64_t da_step);
};

LOOPS_DECLARE(struct scan_loops, scan_loops) /* [0] real, [1] complex */

#endif
