#include "tensor/loops/sinc.h"
#include "tensor/vector_math.h"
#include <stdbool.h>

/* Below it cot z - 1 / z would cancel, and four terms of its series are exact to rounding. */
#ifdef CLADE_DOUBLE
#define SERIES_BELOW 0.05
#else
#define SERIES_BELOW 0.4F
#endif

static void multiply(int64_t n, real rate, real q, const real *restrict k, real *restrict y)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        real z = rate * (q - k[i]), sine = real_sin(z), divisor = z == 0 ? 1 : z;
        y[i] *= z == 0 ? 1 : sine / divisor;
    }
}

static real slope(int64_t n, real rate, real q, const real *restrict k, const real *restrict weights,
                  real *restrict y)
{
    real sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) {
        real difference = q - k[i], z = rate * difference, square = z * z, sine, cosine;
        real_sine_cosine(z, &sine, &cosine);
        real series = -z * (1 / (real)3 +
                            square * (1 / (real)45 + square * (2 / (real)945 + square * (1 / (real)4725))));
        bool small = real_absolute(z) < SERIES_BELOW;
        real divisor = small || sine == 0 ? 1 : sine, far = small ? 1 : z;
        y[i] = weights[i] * (small ? series : cosine / divisor - 1 / far);
        sum += y[i] * difference;
    }
    return sum;
}

LOOPS_TABLE(struct sinc_loops, sinc_loops) = {
    .multiply = multiply,
    .slope = slope,
};
