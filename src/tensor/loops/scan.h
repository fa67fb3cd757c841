/* scan.h: linear recurrences over a block of neighbouring channels, all steps in one call. */
#ifndef CLADE_TENSOR_LOOPS_SCAN_H
#define CLADE_TENSOR_LOOPS_SCAN_H

#include "tensor/loops/loops.h"

/* `count` channels of `steps` steps, rows `stride` apart. The factors of a step are `a_step` apart (0: the same for all steps), one
 * a channel or, with a_shared, one for all. Complex numbers are neighbours (real, imaginary) and count as one channel. */
struct scan_block {
    int64_t steps, count, stride;
    const real *a;
    int64_t a_step;
    int a_shared;
};

struct scan_loops {
    /* h_t = a_t h_{t-1} + b_t; before is h_{-1} or NULL for zero. */
    void (*forward[2])(const struct scan_block *block, const real *b, const real *before, real *h);
    /* g enters as dL/dh_{steps-1} through later steps (or zeros) and leaves as dL/dh_{-1}. db and da (of the layout of b and a)
     * are added to and may be NULL. */
    void (*backward[2])(const struct scan_block *block, const real *h, const real *before, const real *dy,
                        real *g, real *db, real *da);
};

LOOPS_DECLARE(struct scan_loops, scan_loops) /* [0] real, [1] complex */

#endif
