#include "tensor/loops/legendre_scan.h"

enum { LANES = LEGENDRE_LANES };

static void forward(int64_t count, int64_t states, const struct legendre_state *s, const real *x,
                    const real *last, int64_t pitch, real *now)
{
    real u[LANES];
    for (int64_t i = 0; i < count; i++)
        u[i] = -x[i];
    for (int64_t n = 0; n < states; n++) {
        real keep = s[n].keep, take = s[n].take, before = s[n].before, after = s[n].after;
        const real *restrict from = last + n * pitch;
        real *restrict to = now + n * pitch;
#pragma omp simd
        for (int64_t i = 0; i < count; i++) {
            real old = from[i], new = keep *old - take *u[i];
            to[i] = new;
            u[i] += before * old + after * new;
        }
    }
}

static void backward(int64_t count, int64_t states, const struct legendre_state *s, real *restrict g,
                     real *restrict dx)
{
    real v[LANES] = {0};
    for (int64_t n = states - 1; n >= 0; n--) {
        real keep = s[n].keep, take = s[n].take, before = s[n].before, after = s[n].after;
#pragma omp simd
        for (int64_t i = 0; i < count; i++) {
            real slope = g[n * LANES + i] + after * v[i];
            g[n * LANES + i] = keep * slope + before * v[i];
            v[i] -= take * slope;
        }
    }
    for (int64_t i = 0; dx && i < count; i++)
        dx[i] -= v[i];
}

LOOPS_TABLE(struct legendre_scan_loops, legendre_scan_loops) = {forward, backward};
