/* selective_scan.h: Mamba's recurrence over a few neighbouring channels and up to SELECTIVE_CHUNK steps. */
#ifndef CLADE_TENSOR_LOOPS_SELECTIVE_SCAN_H
#define CLADE_TENSOR_LOOPS_SELECTIVE_SCAN_H

#include "tensor/loops/loops.h"

enum {
    SELECTIVE_LANES = 16, /* channels of a call: one vector of the widest kind */
    SELECTIVE_CHUNK = 32  /* steps of a call, whose states the backward form holds at once */
};

/* States of a call's channels lie as [states, SELECTIVE_LANES]. Rows start at the call's first channel (x,
 * delta, y) or first state (B, C) and are `..._stride` apart. */
struct selective_scan_block {
    int64_t steps, width, states; /* width: channels in use, at most SELECTIVE_LANES */
    const real *x, *delta, *B, *C;
    int64_t x_stride, delta_stride, B_stride, C_stride;
    const real *A; /* [states, SELECTIVE_LANES], times SELECTIVE_UNIT */
    int64_t ahead,
        behind; /* steps there are after and before these: for the next call, some are fetched early */
};

/* exp(delta A) is taken as a power of two. */
#define SELECTIVE_UNIT 1.4426950408889634 /* 1 / log 2 */

struct selective_scan_gradients {
    const real *dy; /* NULL for zero */
    int64_t dy_stride;
    real *dx, *ddelta; /* of the layout of x and delta; added to; may be NULL */
    real *dA;          /* [states, SELECTIVE_LANES], added to */
    real *dB, *dC;     /* [steps, states], added to */
};

struct selective_scan_loops {
    /* h is the state before and after; y may be NULL. */
    void (*forward)(const struct selective_scan_block *block, real *h, real *y, int64_t y_stride);
    /* `before` is the state before the first step; g [states, SELECTIVE_LANES] enters as the gradient of the
     * last state and leaves as that of `before`. `held` has room for the states of all steps and one more,
     * and their decays. */
    void (*backward)(const struct selective_scan_block *block, const real *before, real *held, real *g,
                     const struct selective_scan_gradients *gradients);
    /* A single step of `channels` channels, their states and A as [channels, states]; h may be NULL for
     * zeros. */
    void (*step)(int64_t channels, int64_t states, const real *x, const real *delta, const real *A,
                 const real *B, const real *C, const real *before, real *h, real *y);
};

LOOPS_DECLARE(struct selective_scan_loops, selective_scan_loops)

#endif
