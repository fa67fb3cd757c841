#include "tensor/loops/long_convolution.h"
#include <string.h>

enum { LANES = CONVOLUTION_LANES, BLOCK = CONVOLUTION_BLOCK };

static void direct(int64_t first, int64_t last, int64_t taps, const real *restrict x, const real *restrict k,
                   real *restrict y)
{
    for (int64_t t = first; t < last; t += BLOCK) {
        real sums[BLOCK][LANES] = {{0}};
        int64_t count = taps < t + BLOCK ? taps : t + BLOCK;
        for (int64_t j = 0; j < count; j++)
            for (int i = 0; i < BLOCK; i++)
                for (int lane = 0; lane < LANES; lane++)
                    sums[i][lane] += k[j * LANES + lane] * x[(t + i - j) * LANES + lane];
        memcpy(y + (t - first) * LANES, sums, sizeof sums);
    }
}

static void twist(int64_t n, int64_t m, const real *restrict x, const real *restrict roots, real *restrict z)
{
    int64_t both = n > m ? n - m : 0, single = n < m ? n : m;
#pragma omp simd
    for (int64_t j = 0; j < both; j++) {
        z[2 * j] = x[j] * roots[2 * j] - x[j + m] * roots[2 * j + 1];
        z[2 * j + 1] = x[j] * roots[2 * j + 1] + x[j + m] * roots[2 * j];
    }
#pragma omp simd
    for (int64_t j = both; j < single; j++) {
        z[2 * j] = x[j] * roots[2 * j];
        z[2 * j + 1] = x[j] * roots[2 * j + 1];
    }
    memset(z + 2 * single, 0, (size_t)(m - single) * 2 * sizeof(real));
}

static void untwist(int64_t n, int64_t m, const real *restrict z, const real *restrict roots, real scale,
                    real *restrict x)
{
    int64_t both = n > m ? n - m : 0, single = n < m ? n : m;
#pragma omp simd
    for (int64_t j = 0; j < single; j++)
        x[j] = scale * (z[2 * j] * roots[2 * j] + z[2 * j + 1] * roots[2 * j + 1]);
#pragma omp simd
    for (int64_t j = 0; j < both; j++)
        x[j + m] = scale * (z[2 * j + 1] * roots[2 * j] - z[2 * j] * roots[2 * j + 1]);
}

LOOPS_TABLE(struct long_convolution_loops, long_convolution_loops) = {direct, twist, untwist};
