#include "tensor/loops/cumulative.h"
#include "tensor/vector_math.h"
#include <float.h>
#include <stdbool.h>

#ifdef CLADE_DOUBLE
#define REAL_LARGEST DBL_MAX
#else
#define REAL_LARGEST FLT_MAX
#endif

/* Sums run over the whole length in double precision: a decay that is summed over thousands of tokens is used
 * in differences. */

static inline void sum_columns(int64_t length, int64_t stride, int64_t columns, const real *restrict x,
                               real *restrict y)
{
    double sum[CUMULATIVE_COLUMNS] = {0};
    for (int64_t i = 0; i < length; i++, x += stride, y += stride)
#pragma omp simd
        for (int64_t j = 0; j < columns; j++) {
            sum[j] += (double)x[j];
            y[j] = (real)sum[j];
        }
}

static inline void sum_columns_backward(int64_t length, int64_t stride, int64_t columns,
                                        const real *restrict x, const real *restrict y,
                                        const real *restrict dy, real *restrict dx)
{
    (void)x, (void)y;
    double sum[CUMULATIVE_COLUMNS] = {0};
    for (int64_t at = (length - 1) * stride; at >= 0; at -= stride)
#pragma omp simd
        for (int64_t j = 0; j < columns; j++) {
            sum[j] += (double)dy[at + j];
            dx[at + j] += (real)sum[j];
        }
}

static inline void multiply_columns(int64_t length, int64_t stride, int64_t columns, const real *restrict x,
                                    real *restrict y)
{
    real product[CUMULATIVE_COLUMNS];
    for (int64_t j = 0; j < columns; j++)
        product[j] = 1;
    for (int64_t i = 0; i < length; i++, x += stride, y += stride)
#pragma omp simd
        for (int64_t j = 0; j < columns; j++) {
            product[j] *= x[j];
            y[j] = product[j];
        }
}

/* dx_i = y_{i-1} r_i with r_i = dy_i + x_{i+1} r_{i+1}: no division, so zeros need no care. */
static inline void multiply_columns_backward(int64_t length, int64_t stride, int64_t columns,
                                             const real *restrict x, const real *restrict y,
                                             const real *restrict dy, real *restrict dx)
{
    real rest[CUMULATIVE_COLUMNS] = {0};
    for (int64_t at = (length - 1) * stride; at >= 0; at -= stride) {
        bool last = at == (length - 1) * stride, first = at == 0;
#pragma omp simd
        for (int64_t j = 0; j < columns; j++) {
            rest[j] = dy[at + j] + (last ? 0 : x[at + stride + j] * rest[j]);
            dx[at + j] += rest[j] * (first ? 1 : y[at - stride + j]);
        }
    }
}

/* NaN counts as the largest, so that it shows. */
static inline bool is_new_maximum(real x, real before)
{
    return x > before || (x != x && before == before);
}

static inline void max_columns(int64_t length, int64_t stride, int64_t columns, const real *restrict x,
                               real *restrict y)
{
    real largest[CUMULATIVE_COLUMNS];
    for (int64_t j = 0; j < columns; j++)
        largest[j] = -INFINITY;
    for (int64_t i = 0; i < length; i++, x += stride, y += stride)
#pragma omp simd
        for (int64_t j = 0; j < columns; j++) {
            largest[j] = is_new_maximum(x[j], largest[j]) ? x[j] : largest[j];
            y[j] = largest[j];
        }
}

/* The gradient of a run of equal maxima goes to the first entry that had it. */
static inline void max_columns_backward(int64_t length, int64_t stride, int64_t columns,
                                        const real *restrict x, const real *restrict y,
                                        const real *restrict dy, real *restrict dx)
{
    real sum[CUMULATIVE_COLUMNS] = {0};
    for (int64_t at = (length - 1) * stride; at >= 0; at -= stride) {
        bool first = at == 0;
#pragma omp simd
        for (int64_t j = 0; j < columns; j++) {
            sum[j] += dy[at + j];
            bool new = first || is_new_maximum(x[at + j], y[at - stride + j]);
            dx[at + j] += new ? sum[j] : 0;
            sum[j] = new ? 0 : sum[j];
        }
    }
}

/* The sum of exp(x - largest), rescaled when the largest grows. The largest is kept finite, so that
 * infinities of either sign come out of the formula. */
static inline void log_sum_exp_columns(int64_t length, int64_t stride, int64_t columns,
                                       const real *restrict x, real *restrict y)
{
    double sum[CUMULATIVE_COLUMNS] = {0};
    real largest[CUMULATIVE_COLUMNS];
    for (int64_t j = 0; j < columns; j++)
        largest[j] = -REAL_LARGEST;
    for (int64_t i = 0; i < length; i++, x += stride, y += stride)
#pragma omp simd
        for (int64_t j = 0; j < columns; j++) {
            real bounded = x[j] < REAL_LARGEST ? x[j] : REAL_LARGEST;
            real next = bounded > largest[j] ? bounded : largest[j];
            sum[j] = sum[j] * (double)real_exp(largest[j] - next) + (double)real_exp(x[j] - next);
            largest[j] = next;
            y[j] = next + real_log((real)sum[j]);
        }
}

/* dx_i = exp(x_i - y_i) r_i with r_i = dy_i + exp(y_i - y_{i+1}) r_{i+1}: both exponents are at most 0. */
static inline void log_sum_exp_columns_backward(int64_t length, int64_t stride, int64_t columns,
                                                const real *restrict x, const real *restrict y,
                                                const real *restrict dy, real *restrict dx)
{
    real rest[CUMULATIVE_COLUMNS] = {0};
    for (int64_t at = (length - 1) * stride; at >= 0; at -= stride) {
        int64_t after = at == (length - 1) * stride ? at : at + stride;
#pragma omp simd
        for (int64_t j = 0; j < columns; j++) {
            real step =
                y[at + j] == y[after + j] ? 0 : y[at + j] - y[after + j]; /* infinities may be equal */
            rest[j] = dy[at + j] + real_exp(step) * rest[j];
            real share = x[at + j] == y[at + j] ? 0 : x[at + j] - y[at + j];
            dx[at + j] += x[at + j] == -INFINITY ? 0 : real_exp(share) * rest[j];
        }
    }
}

/* Each again with one column as a constant: a row of its own, without the set-up of a vector loop. */
#define CUMULATIVE_LOOPS(name)                                                                       \
    static void name##_loop(int64_t length, int64_t stride, int64_t columns, const real *x, real *y) \
    {                                                                                                \
        if (columns == 1)                                                                            \
            name##_columns(length, stride, 1, x, y);                                                 \
        else                                                                                         \
            name##_columns(length, stride, columns, x, y);                                           \
    }                                                                                                \
    static void name##_backward_loop(int64_t length, int64_t stride, int64_t columns, const real *x, \
                                     const real *y, const real *dy, real *dx)                        \
    {                                                                                                \
        if (columns == 1)                                                                            \
            name##_columns_backward(length, stride, 1, x, y, dy, dx);                                \
        else                                                                                         \
            name##_columns_backward(length, stride, columns, x, y, dy, dx);                          \
    }
CUMULATIVE_LOOPS(sum)
CUMULATIVE_LOOPS(multiply)
CUMULATIVE_LOOPS(max)
CUMULATIVE_LOOPS(log_sum_exp)

LOOPS_TABLE(struct cumulative_loops, cumulative_loops) = {
    {[CUMULATIVE_SUM] = sum_loop,
     [CUMULATIVE_PRODUCT] = multiply_loop,
     [CUMULATIVE_MAX] = max_loop,
     [CUMULATIVE_LOG_SUM_EXP] = log_sum_exp_loop},
    {[CUMULATIVE_SUM] = sum_backward_loop,
     [CUMULATIVE_PRODUCT] = multiply_backward_loop,
     [CUMULATIVE_MAX] = max_backward_loop,
     [CUMULATIVE_LOG_SUM_EXP] = log_sum_exp_backward_loop},
};
