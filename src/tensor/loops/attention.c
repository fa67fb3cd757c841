#include "tensor/loops/attention.h"
#include "tensor/loops/vector.h"
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

static real maximum(int64_t n, const real *x)
{
    int64_t i = 0;
    vector a = vector_fill(-INFINITY), b = a; /* two, for rows are short and what counts is latency */
    for (; i + 2 * VECTOR_LANES <= n; i += 2 * VECTOR_LANES) {
        a = vector_larger(vector_load(x + i), a);
        b = vector_larger(vector_load(x + i + VECTOR_LANES), b);
    }
    real lanes[VECTOR_LANES];
    vector_store(lanes, vector_larger(a, b));
    UNROLL for (int half = VECTOR_LANES / 2; half > 0; half /= 2) UNROLL for (int j = 0; j < half; j++)
        lanes[j] = lanes[j + half] > lanes[j] ? lanes[j + half] : lanes[j];
    real largest = lanes[0];
    for (; i < n; i++)
        largest = x[i] > largest ? x[i] : largest;
    return largest;
}

static real sum(int64_t n, const real *x)
{
    int64_t i = 0;
    vector a = vector_fill(0), b = a;
    for (; i + 2 * VECTOR_LANES <= n; i += 2 * VECTOR_LANES) {
        a += vector_load(x + i);
        b += vector_load(x + i + VECTOR_LANES);
    }
    real total = vector_sum(a + b);
    for (; i < n; i++)
        total += x[i];
    return total;
}

static real online_softmax(int64_t n, real *restrict x, real *largest, real *total)
{
    real before = *largest, now = maximum(n, x);
    real change = now > before ? real_exp_below(before - now) : 1;
    now = now > before ? now : before;
    real shift = now == -INFINITY ? 0 : now;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        x[i] = real_exp_below(x[i] - shift);
    *largest = now;
    *total = *total * change + sum(n, x);
    return change;
}

static void score_gradient(int64_t n, real log_sum, real mean, real *restrict scores, real *restrict gradient)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        real weight = real_exp_below(scores[i] - log_sum);
        scores[i] = weight;
        gradient[i] = weight * (gradient[i] - mean);
    }
}

/* Sixteen rows at a time: their cache lines stay in the first level until all of their columns are read. */
static void transpose(int64_t rows, int64_t columns, const real *restrict x, int64_t x_stride,
                      real *restrict y, int64_t y_stride)
{
    enum { BLOCK = 16 };
    int64_t whole = rows - rows % BLOCK;
    for (int64_t r = 0; r < whole; r += BLOCK)
        for (int64_t j = 0; j < columns; j++)
#pragma omp simd
            for (int64_t i = r; i < r + BLOCK; i++)
                y[j * y_stride + i] = x[i * x_stride + j];
    for (int64_t i = whole; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            y[j * y_stride + i] = x[i * x_stride + j];
}

/* With a constant width these unroll: the common head sizes get their own copy. Positions are outermost, so
 * that memory is read in the order in which it usually lies. */
static inline real dot(int64_t n, const real *restrict x, const real *restrict y)
{
    int64_t whole = n - n % VECTOR_LANES;
    vector products = vector_fill(0);
    for (int64_t i = 0; i < whole; i += VECTOR_LANES)
        products += vector_load(x + i) * vector_load(y + i);
    real total = vector_sum(products);
    for (int64_t i = whole; i < n; i++)
        total += x[i] * y[i];
    return total;
}

static inline void dots_of(const struct key_rows *k, int64_t width, const real *restrict q,
                           real *restrict scores, int64_t scores_stride)
{
    for (int64_t s = 0; s < k->count; s++)
        for (int64_t g = 0; g < k->heads; g++)
            for (int64_t r = g * k->group; r < (g + 1) * k->group; r++)
                scores[r * scores_stride + s] =
                    dot(width, q + r * width, k->data + s * k->stride + g * k->head_stride);
}

static inline void add_weighted_of(const struct key_rows *v, int64_t width, const real *restrict weights,
                                   int64_t weights_stride, real *restrict y)
{
    for (int64_t s = 0; s < v->count; s++)
        for (int64_t g = 0; g < v->heads; g++) {
            const real *restrict value = v->data + s * v->stride + g * v->head_stride;
            for (int64_t r = g * v->group; r < (g + 1) * v->group; r++) {
                real weight = weights[r * weights_stride + s];
#pragma omp simd
                for (int64_t i = 0; i < width; i++)
                    y[r * width + i] += weight * value[i];
            }
        }
}

static void dots(const struct key_rows *k, const real *q, real *scores, int64_t scores_stride)
{
    switch (k->width) {
    case 32:
        dots_of(k, 32, q, scores, scores_stride);
        break;
    case 64:
        dots_of(k, 64, q, scores, scores_stride);
        break;
    case 128:
        dots_of(k, 128, q, scores, scores_stride);
        break;
    default:
        dots_of(k, k->width, q, scores, scores_stride);
    }
}

static void add_weighted(const struct key_rows *v, const real *weights, int64_t weights_stride, real *y)
{
    switch (v->width) {
    case 32:
        add_weighted_of(v, 32, weights, weights_stride, y);
        break;
    case 64:
        add_weighted_of(v, 64, weights, weights_stride, y);
        break;
    case 128:
        add_weighted_of(v, 128, weights, weights_stride, y);
        break;
    default:
        add_weighted_of(v, v->width, weights, weights_stride, y);
    }
}

LOOPS_TABLE(struct attention_loops, attention_loops) = {
    .soft_cap = soft_cap,
    .add_reversed = add_reversed,
    .add_to_reversed = add_to_reversed,
    .scale = scale,
    .online_softmax = online_softmax,
    .score_gradient = score_gradient,
    .transpose = transpose,
    .dots = dots,
    .add_weighted = add_weighted,
};
