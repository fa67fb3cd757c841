/* attention.h: inner loops of attention over rows of scores and, for few queries, over rows of keys and
 * values. */
#ifndef CLADE_TENSOR_LOOPS_ATTENTION_H
#define CLADE_TENSOR_LOOPS_ATTENTION_H

#include "tensor/loops/loops.h"

struct attention_loops {
    /* x[i] = cap tanh(x[i] / cap); slope[i] is its derivative, unless slope is NULL. */
    void (*soft_cap)(int64_t n, real cap, real *x, real *slope);
    /* x[i] += y[-i], and y[-i] += x[i]. */
    void (*add_reversed)(int64_t n, const real *y, real *x);
    void (*add_to_reversed)(int64_t n, const real *x, real *y);
    void (*scale)(int64_t n, real factor, real *x);
    /* x[i] = exp(x[i] - shift); returns their sum. */
    real (*exponentials)(int64_t n, real shift, real *x);
    /* scores[i] becomes the weight w = exp(scores[i] - log_sum), gradient[i] becomes w (gradient[i] - mean).
     */
    void (*score_gradient)(int64_t n, real log_sum, real mean, real *scores, real *gradient);
    /* y [columns, rows] = x^T. */
    void (*transpose)(int64_t rows, int64_t columns, const real *x, int64_t x_stride, real *y,
                      int64_t y_stride);
    /* scores[r * scores_stride] = q_r . k for `rows` rows q [rows, width]. */
    void (*dots)(int64_t rows, int64_t width, const real *q, const real *k, real *scores,
                 int64_t scores_stride);
    /* y_r += weights[r * weights_stride] v for `rows` rows y [rows, width]. */
    void (*add_weighted)(int64_t rows, int64_t width, const real *weights, int64_t weights_stride,
                         const real *v, real *y);
};

LOOPS_DECLARE(struct attention_loops, attention_loops)

#endif
