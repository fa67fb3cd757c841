#include "tensor/loops/scan.h"
#include <stddef.h>

static void forward_real(const struct scan_block *k, const real *b, const real *before, real *h)
{
    for (int64_t t = 0; t < k->steps; t++) {
        const real *restrict a = k->a + t * k->a_step, *restrict in = b + t * k->stride,
                             *last = t ? h + (t - 1) * k->stride : before;
        real *restrict out = h + t * k->stride;
        if (!last) {
            for (int64_t i = 0; i < k->count; i++)
                out[i] = in[i];
        } else if (k->a_shared) {
            real factor = *a;
#pragma omp simd
            for (int64_t i = 0; i < k->count; i++)
                out[i] = factor * last[i] + in[i];
        } else {
#pragma omp simd
            for (int64_t i = 0; i < k->count; i++)
                out[i] = a[i] * last[i] + in[i];
        }
    }
}

static void backward_real(const struct scan_block *k, const real *h, const real *before, const real *dy,
                          real *restrict g, real *db, real *da)
{
    for (int64_t t = k->steps - 1; t >= 0; t--) {
        const real *restrict a = k->a + t * k->a_step, *restrict d = dy ? dy + t * k->stride : NULL;
        const real *last = t ? h + (t - 1) * k->stride : before;
        real *restrict to_b = db ? db + t * k->stride : NULL, *restrict to_a = da ? da + t * k->a_step : NULL;
        if (d)
#pragma omp simd
            for (int64_t i = 0; i < k->count; i++)
                g[i] += d[i];
        if (to_b)
#pragma omp simd
            for (int64_t i = 0; i < k->count; i++)
                to_b[i] += g[i];
        if (to_a && last && k->a_shared) {
            real sum = 0;
#pragma omp simd reduction(+ : sum)
            for (int64_t i = 0; i < k->count; i++)
                sum += g[i] * last[i];
            *to_a += sum;
        } else if (to_a && last) {
#pragma omp simd
            for (int64_t i = 0; i < k->count; i++)
                to_a[i] += g[i] * last[i];
        }
        real factor = *a;
        if (k->a_shared)
#pragma omp simd
            for (int64_t i = 0; i < k->count; i++)
                g[i] *= factor;
        else
#pragma omp simd
            for (int64_t i = 0; i < k->count; i++)
                g[i] *= a[i];
    }
}

static void forward_complex(const struct scan_block *k, const real *b, const real *before, real *h)
{
    for (int64_t t = 0; t < k->steps; t++) {
        const real *restrict a = k->a + t * k->a_step, *restrict in = b + t * k->stride,
                             *last = t ? h + (t - 1) * k->stride : before;
        real *restrict out = h + t * k->stride;
        int64_t shared = k->a_shared ? 0 : 2;
        if (!last) {
            for (int64_t i = 0; i < 2 * k->count; i++)
                out[i] = in[i];
            continue;
        }
#pragma omp simd
        for (int64_t i = 0; i < k->count; i++) {
            real re = a[i * shared], im = a[i * shared + 1], x = last[2 * i], y = last[2 * i + 1];
            out[2 * i] = re * x - im * y + in[2 * i];
            out[2 * i + 1] = re * y + im * x + in[2 * i + 1];
        }
    }
}

static void backward_complex(const struct scan_block *k, const real *h, const real *before, const real *dy,
                             real *restrict g, real *db, real *da)
{
    for (int64_t t = k->steps - 1; t >= 0; t--) {
        const real *restrict a = k->a + t * k->a_step;
        const real *last = t ? h + (t - 1) * k->stride : before;
        int64_t shared = k->a_shared ? 0 : 2;
        if (dy)
#pragma omp simd
            for (int64_t i = 0; i < 2 * k->count; i++)
                g[i] += dy[t * k->stride + i];
        if (db)
#pragma omp simd
            for (int64_t i = 0; i < 2 * k->count; i++)
                db[t * k->stride + i] += g[i];
        for (int64_t i = 0; da && last && i < k->count;
             i++) { /* in order: with a_shared all meet in one place */
            real *to = da + t * k->a_step + i * shared;
            to[0] += g[2 * i] * last[2 * i] + g[2 * i + 1] * last[2 * i + 1];
            to[1] += g[2 * i + 1] * last[2 * i] - g[2 * i] * last[2 * i + 1];
        }
#pragma omp simd
        for (int64_t i = 0; i < k->count; i++) {
            real re = a[i * shared], im = a[i * shared + 1], x = g[2 * i], y = g[2 * i + 1];
            g[2 * i] = re * x + im * y;
            g[2 * i + 1] = re * y - im * x;
        }
    }
}

LOOPS_TABLE(struct scan_loops, scan_loops) = {
    {forward_real, forward_complex},
    {backward_real, backward_complex},
};
