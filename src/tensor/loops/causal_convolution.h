/* causal_convolution.h: short depthwise convolutions, all channels of a few rows at once. */
#ifndef CLADE_TENSOR_LOOPS_CAUSAL_CONVOLUTION_H
#define CLADE_TENSOR_LOOPS_CAUSAL_CONVOLUTION_H

#include "tensor/loops/loops.h"

/* y[c] += w[c] x[c]; the taps of a step are given one after the other. */
struct tap_loops {
    void (*multiply_add)(int64_t n, const real *w, const real *x, real *y);
};

LOOPS_DECLARE(struct tap_loops, tap_loops)

#endif
