/* causal_convolution.h: short depthwise convolutions over a few steps of all channels. Rows are given by
 * pointers, so that those before the start or past the end can be zeros from elsewhere. */
#ifndef CLADE_TENSOR_LOOPS_CAUSAL_CONVOLUTION_H
#define CLADE_TENSOR_LOOPS_CAUSAL_CONVOLUTION_H

#include "tensor/loops/loops.h"
#include <stdbool.h>

struct convolution_loops {
    /* y[t] = bias + sum_j w[j] x[t + j], or that added to y[t], for rows y of `steps` and x of steps + taps -
     * 1; w is [taps, channels], bias may be NULL. */
    void (*convolve)(int64_t steps, int64_t channels, int64_t taps, const real *w, const real *bias,
                     const real *const *x, bool add, real *const *y);
    /* dw[j] += sum_t dy[t] x[t + j], dbias += sum_t dy[t]; either may be NULL. */
    void (*gradient)(int64_t steps, int64_t channels, int64_t taps, const real *const *dy,
                     const real *const *x, real *dw, real *dbias);
};

LOOPS_DECLARE(struct convolution_loops, convolution_loops)

#endif
