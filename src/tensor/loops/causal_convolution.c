#include "tensor/loops/causal_convolution.h"

static void multiply_add(int64_t n, const real *restrict w, const real *restrict x, real *restrict y)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] += w[i] * x[i];
}

LOOPS_TABLE(struct tap_loops, tap_loops) = {multiply_add};
