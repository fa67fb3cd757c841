/* selective_scan.h: Mamba's recurrence over a few neighbouring channels, all steps in one call. */
#ifndef CLADE_TENSOR_LOOPS_SELECTIVE_SCAN_H
#define CLADE_TENSOR_LOOPS_SELECTIVE_SCAN_H

#include "tensor/loops/loops.h"

enum {
    SELECTIVE_LANES =
        16, /* channels of a call; states of one are SELECTIVE_LANES apart: h[n * SELECTIVE_LANES + c] */
    SELECTIVE_CHUNK = 32 /* steps whose states the backward form holds at once */
};

/* Rows start at the call's first channel (x, delta, y) or first state (B, C) and are `..._stride` apart. */
struct selective_scan_block {
    int64_t steps, width, states; /* width: channels in use, at most SELECTIVE_LANES */
    const real *x, *delta, *B, *C;
    int64_t x_stride, delta_stride, B_stride, C_stride;
    const real *A; /* [states, SELECTIVE_LANES] */
};

struct selective_scan_gradients {
    const real *dy; /* NULL for zero; */
    int64_t dy_stride;
    real *dx, *ddelta; /* of the layout of x and delta; added to; may be NULL */
    real *dA;          /* [states, SELECTIVE_LANES], added to */
    real *dB, *dC;     /* [steps, states], added to */
};

struct selective_scan_loops {
    /* h is the state before and after; y may be NULL. */
    void (*forward)(const struct selective_scan_block *block, real *h, real *y, int64_t y_stride);
    /* `before` is the state before the first step; g [states, SELECTIVE_LANES] enters as the gradient of the last state and leaves
     * as that of `before`. At most SELECTIVE_CHUNK steps; `held` has room for their states, one more than the steps. */
    void (*backward)(const struct selective_scan_block *block, const real *before, real *held, real *g,
                     const struct selective_scan_gradients *gradients);
};

LOOPS_DECLARE(struct selective_scan_loops, selective_scan_loops)

#endif
