#include "tensor/loops/selective_scan.h"
#include "tensor/vector_math.h"

enum { L = SELECTIVE_LANES };

/* The block's channels of one row, zeros behind them. */
static inline void load(const real *row, int64_t width, real *lanes)
{
    for (int c = 0; c < L; c++)
        lanes[c] = c < width ? row[c] : 0;
}

/* One step of all states: h becomes exp(delta A) before + delta x B, and y the sum over states of C h. */
static inline void step(int64_t states, const real *restrict A, const real *restrict B,
                        const real *restrict C, const real *delta, const real *x, const real *before, real *h,
                        real *y)
{
    real in[L], out[L] = {0};
    for (int c = 0; c < L; c++)
        in[c] = delta[c] * x[c];
    for (int64_t n = 0; n < states; n++) {
        real b = B[n], read = C[n];
#pragma omp simd
        for (int c = 0; c < L; c++) {
            real value = real_exp(delta[c] * A[n * L + c]) * before[n * L + c] + in[c] * b;
            h[n * L + c] = value;
            out[c] += value * read;
        }
    }
    for (int c = 0; c < L; c++)
        y[c] = out[c];
}

static void forward(const struct selective_scan_block *k, real *h, real *y, int64_t y_stride)
{
    for (int64_t t = 0; t < k->steps; t++) {
        real x[L], delta[L], out[L];
        load(k->x + t * k->x_stride, k->width, x);
        load(k->delta + t * k->delta_stride, k->width, delta);
        step(k->states, k->A, k->B + t * k->B_stride, k->C + t * k->C_stride, delta, x, h, h, out);
        for (int64_t c = 0; y && c < k->width; c++)
            y[t * y_stride + c] = out[c];
    }
}

static inline real sum_lanes(const real *lanes)
{
    real sum = 0;
    for (int c = 0; c < L; c++)
        sum += lanes[c];
    return sum;
}

static void backward(const struct selective_scan_block *k, const real *before, real *held, real *g,
                     const struct selective_scan_gradients *d)
{
    int64_t size = k->states * L;
    for (int64_t i = 0; i < size; i++)
        held[i] = before[i];
    for (int64_t t = 0; t < k->steps; t++) {
        real x[L], delta[L], unused[L];
        load(k->x + t * k->x_stride, k->width, x);
        load(k->delta + t * k->delta_stride, k->width, delta);
        step(k->states, k->A, k->B + t * k->B_stride, k->C + t * k->C_stride, delta, x, held + t * size,
             held + (t + 1) * size, unused);
    }
    for (int64_t t = k->steps - 1; t >= 0; t--) {
        real x[L], delta[L], dy[L] = {0}, dx[L] = {0}, ddelta[L] = {0};
        load(k->x + t * k->x_stride, k->width, x);
        load(k->delta + t * k->delta_stride, k->width, delta);
        if (d->dy)
            load(d->dy + t * d->dy_stride, k->width, dy);
        for (int64_t n = 0; n < k->states; n++) {
            const real *last = held + t * size + n * L, *now = last + size, *A = k->A + n * L;
            real b = k->B[t * k->B_stride + n], read = k->C[t * k->C_stride + n], to_B[L], to_C[L];
#pragma omp simd
            for (int c = 0; c < L; c++) {
                real gradient = g[n * L + c] + dy[c] * read, decay = real_exp(delta[c] * A[c]);
                real through = gradient * last[c] * decay;
                to_C[c] = dy[c] * now[c];
                to_B[c] = gradient * delta[c] * x[c];
                ddelta[c] += through * A[c] + gradient * b * x[c];
                dx[c] += gradient * b * delta[c];
                d->dA[n * L + c] += through * delta[c];
                g[n * L + c] = gradient * decay;
            }
            d->dB[t * k->states + n] += sum_lanes(to_B);
            d->dC[t * k->states + n] += sum_lanes(to_C);
        }
        for (int64_t c = 0; c < k->width; c++) {
            if (d->dx)
                d->dx[t * k->x_stride + c] += dx[c];
            if (d->ddelta)
                d->ddelta[t * k->delta_stride + c] += ddelta[c];
        }
    }
}

LOOPS_TABLE(struct selective_scan_loops, selective_scan_loops) = {forward, backward};
