#include "tensor/loops/attention.h"
#include "tensor/vector_math.h"
#include <stddef.h>

static void soft_cap(int64_t n, real cap, real *restrict x, real *restrict slope)
{
    real inverse = 1 / cap;
    if (slope)
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            real t = real_tanh(x[i] * inverse);
            x[i] = cap * t;
            slope[i] = 1 - t * t;
        }
    else
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            x[i] = cap * real_tanh(x[i] * inverse);
}

static void add_reversed(int64_t n, const real *restrict y, real *restrict x)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        x[i] += y[-i];
}

static void add_to_reversed(int64_t n, const real *restrict x, real *restrict y)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[-i] += x[i];
}

static void scale(int64_t n, real factor, real *x)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        x[i] *= factor;
}

static real exponentials(int64_t n, real shift, real *x)
{
    real total = 0;
#pragma omp simd reduction(+ : total)
    for (int64_t i = 0; i < n; i++) {
        real e = real_exp(x[i] - shift);
        x[i] = e;
        total += e;
    }
    return total;
}

static void score_gradient(int64_t n, real log_sum, real mean, real *restrict scores, real *restrict gradient)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        real weight = real_exp(scores[i] - log_sum);
        scores[i] = weight;
        gradient[i] = weight * (gradient[i] - mean);
    }
}

static void transpose(int64_t rows, int64_t columns, const real *restrict x, int64_t x_stride,
                      real *restrict y, int64_t y_stride)
{
    for (int64_t j = 0; j < columns; j++)
#pragma omp simd
        for (int64_t i = 0; i < rows; i++)
            y[j * y_stride + i] = x[i * x_stride + j];
}

/* With a constant width these unroll; the common head sizes get their own copy. */
static inline void dots_of(int64_t rows, int64_t width, const real *restrict q, const real *restrict k,
                           real *restrict scores, int64_t scores_stride)
{
    for (int64_t r = 0; r < rows; r++) {
        real total = 0;
#pragma omp simd reduction(+ : total)
        for (int64_t i = 0; i < width; i++)
            total += q[r * width + i] * k[i];
        scores[r * scores_stride] = total;
    }
}

static inline void add_weighted_of(int64_t rows, int64_t width, const real *restrict weights,
                                   int64_t weights_stride, const real *restrict v, real *restrict y)
{
    for (int64_t r = 0; r < rows; r++) {
        real weight = weights[r * weights_stride];
#pragma omp simd
        for (int64_t i = 0; i < width; i++)
            y[r * width + i] += weight * v[i];
    }
}

static void dots(int64_t rows, int64_t width, const real *q, const real *k, real *scores,
                 int64_t scores_stride)
{
    switch (width) {
    case 32:
        dots_of(rows, 32, q, k, scores, scores_stride);
        break;
    case 64:
        dots_of(rows, 64, q, k, scores, scores_stride);
        break;
    case 128:
        dots_of(rows, 128, q, k, scores, scores_stride);
        break;
    default:
        dots_of(rows, width, q, k, scores, scores_stride);
    }
}

static void add_weighted(int64_t rows, int64_t width, const real *weights, int64_t weights_stride,
                         const real *v, real *y)
{
    switch (width) {
    case 32:
        add_weighted_of(rows, 32, weights, weights_stride, v, y);
        break;
    case 64:
        add_weighted_of(rows, 64, weights, weights_stride, v, y);
        break;
    case 128:
        add_weighted_of(rows, 128, weights, weights_stride, v, y);
        break;
    default:
        add_weighted_of(rows, width, weights, weights_stride, v, y);
    }
}

LOOPS_TABLE(struct attention_loops, attention_loops) = {
    .soft_cap = soft_cap,
    .add_reversed = add_reversed,
    .add_to_reversed = add_to_reversed,
    .scale = scale,
    .exponentials = exponentials,
    .score_gradient = score_gradient,
    .transpose = transpose,
    .dots = dots,
    .add_weighted = add_weighted,
};
