#include "tensor/loops/scan.h"
#include <stddef.h>

static const real *row_before(const struct scan_block *k, const real *h, int64_t t)
{
    return t ? h + (t - 1) * k->h_step : k->before;
}

static void copy(int64_t n, const real *restrict x, real *restrict y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i];
}

static void add(int64_t n, const real *restrict x, real *restrict y)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] += x[i];
}

/* ---- Real ---- */

static void forward_real(const struct scan_block *k, real *h)
{
    for (int64_t t = 0; t < k->steps; t++) {
        const real *restrict a = k->a + t * k->a_step, *restrict in = k->b + t * k->b_step;
        const real *restrict last = row_before(k, h, t);
        real *restrict out = h + t * k->h_step;
        real common = a[0];
        if (!last)
            copy(k->count, in, out);
        else if (k->a_shared)
#pragma omp simd
            for (int64_t i = 0; i < k->count; i++)
                out[i] = common * last[i] + in[i];
        else
#pragma omp simd
            for (int64_t i = 0; i < k->count; i++)
                out[i] = a[i] * last[i] + in[i];
    }
}

static void add_products(int64_t n, const real *restrict x, const real *restrict y, bool shared,
                         real *restrict sum)
{
    if (shared) {
        real total = 0;
#pragma omp simd reduction(+ : total)
        for (int64_t i = 0; i < n; i++)
            total += x[i] * y[i];
        *sum += total;
    } else {
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            sum[i] += x[i] * y[i];
    }
}

static void backward_real(const struct scan_block *k, const real *h, const real *dy, real *restrict g,
                          real *db, real *da, int64_t da_step)
{
    for (int64_t t = k->steps - 1; t >= 0; t--) {
        const real *restrict a = k->a + t * k->a_step;
        const real *last = row_before(k, h, t);
        if (dy)
            add(k->count, dy + t * k->h_step, g);
        if (db)
            add(k->count, g, db + t * k->b_step);
        if (da && last)
            add_products(k->count, g, last, k->a_shared, da + t * da_step);
        real common = a[0];
        if (k->a_shared)
#pragma omp simd
            for (int64_t i = 0; i < k->count; i++)
                g[i] *= common;
        else
#pragma omp simd
            for (int64_t i = 0; i < k->count; i++)
                g[i] *= a[i];
    }
}

/* ---- Complex ---- */

static void forward_complex(const struct scan_block *k, real *h)
{
    for (int64_t t = 0; t < k->steps; t++) {
        const real *restrict a = k->a + t * k->a_step, *restrict in = k->b + t * k->b_step;
        const real *restrict last = row_before(k, h, t);
        real *restrict out = h + t * k->h_step;
        real re = a[0], im = a[1];
        if (!last)
            copy(2 * k->count, in, out);
        else if (k->a_shared)
#pragma omp simd
            for (int64_t i = 0; i < k->count; i++) {
                real x = last[2 * i], y = last[2 * i + 1];
                out[2 * i] = re * x - im * y + in[2 * i];
                out[2 * i + 1] = re * y + im * x + in[2 * i + 1];
            }
        else
#pragma omp simd
            for (int64_t i = 0; i < k->count; i++) {
                real x = last[2 * i], y = last[2 * i + 1];
                out[2 * i] = a[2 * i] * x - a[2 * i + 1] * y + in[2 * i];
                out[2 * i + 1] = a[2 * i] * y + a[2 * i + 1] * x + in[2 * i + 1];
            }
    }
}

/* sum += g times the conjugate of h */
static void add_complex_products(int64_t n, const real *restrict g, const real *restrict h, bool shared,
                                 real *restrict sum)
{
    if (shared) {
        real re = 0, im = 0;
#pragma omp simd reduction(+ : re, im)
        for (int64_t i = 0; i < n; i++) {
            re += g[2 * i] * h[2 * i] + g[2 * i + 1] * h[2 * i + 1];
            im += g[2 * i + 1] * h[2 * i] - g[2 * i] * h[2 * i + 1];
        }
        sum[0] += re;
        sum[1] += im;
    } else {
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            sum[2 * i] += g[2 * i] * h[2 * i] + g[2 * i + 1] * h[2 * i + 1];
            sum[2 * i + 1] += g[2 * i + 1] * h[2 * i] - g[2 * i] * h[2 * i + 1];
        }
    }
}

static void backward_complex(const struct scan_block *k, const real *h, const real *dy, real *restrict g,
                             real *db, real *da, int64_t da_step)
{
    for (int64_t t = k->steps - 1; t >= 0; t--) {
        const real *restrict a = k->a + t * k->a_step;
        const real *last = row_before(k, h, t);
        if (dy)
            add(2 * k->count, dy + t * k->h_step, g);
        if (db)
            add(2 * k->count, g, db + t * k->b_step);
        if (da && last)
            add_complex_products(k->count, g, last, k->a_shared, da + t * da_step);
        real re = a[0], im = a[1];
        if (k->a_shared)
#pragma omp simd
            for (int64_t i = 0; i < k->count; i++) {
                real x = g[2 * i], y = g[2 * i + 1];
                g[2 * i] = re * x + im * y;
                g[2 * i + 1] = re * y - im * x;
            }
        else
#pragma omp simd
            for (int64_t i = 0; i < k->count; i++) {
                real x = g[2 * i], y = g[2 * i + 1];
                g[2 * i] = a[2 * i] * x + a[2 * i + 1] * y;
                g[2 * i + 1] = a[2 * i] * y - a[2 * i + 1] * x;
            }
    }
}

LOOPS_TABLE(struct scan_loops, scan_loops) = {
    {forward_real, forward_complex},
    {backward_real, backward_complex},
};
