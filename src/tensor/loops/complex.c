#include "tensor/loops/complex.h"

static void multiply(int64_t n, const real *a, const real *b, real *y)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        real ar = a[2 * i], ai = a[2 * i + 1], br = b[2 * i], bi = b[2 * i + 1];
        y[2 * i] = ar * br - ai * bi;
        y[2 * i + 1] = ar * bi + ai * br;
    }
}

static void multiply_conjugate_add(int64_t n, const real *restrict a, const real *restrict b,
                                   real *restrict y)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        real ar = a[2 * i], ai = a[2 * i + 1], br = b[2 * i], bi = b[2 * i + 1];
        y[2 * i] += ar * br + ai * bi;
        y[2 * i + 1] += ai * br - ar * bi;
    }
}

LOOPS_TABLE(struct complex_loops, complex_loops) = {multiply, multiply_conjugate_add};
