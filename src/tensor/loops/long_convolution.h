/* long_convolution.h: the direct sum for a few channels side by side, and what surrounds a transform of one
 * channel. */
#ifndef CLADE_TENSOR_LOOPS_LONG_CONVOLUTION_H
#define CLADE_TENSOR_LOOPS_LONG_CONVOLUTION_H

#include "tensor/loops/loops.h"

enum {
    CONVOLUTION_LANES = 64 / (int)sizeof(real), /* channels side by side */
    CONVOLUTION_BLOCK = 8                       /* results computed together */
};

struct long_convolution_loops {
    /* y[t - first] = sum of k[j] x[t - j] over 0 <= j < taps, j <= t, for first <= t < last; x, k and y are
     * arrays of
     * [.., CONVOLUTION_LANES]. BLOCK - 1 rows before and after those of x are read and must be zero, or BLOCK
     * - 1 rows after those of y are written. */
    void (*direct)(int64_t first, int64_t last, int64_t taps, const real *x, const real *k, real *y);
    /* z[j] = (x[j] + i x[j + m]) root[j] for 0 <= j < m, with zeros for what lies past n; n <= 2 m. */
    void (*twist)(int64_t n, int64_t m, const real *x, const real *roots, real *z);
    /* The way back, scaled. */
    void (*untwist)(int64_t n, int64_t m, const real *z, const real *roots, real scale, real *x);
};

LOOPS_DECLARE(struct long_convolution_loops, long_convolution_loops)

#endif
