/* attention.h: inner loops of attention over rows of scores and, for few queries, over rows of keys and
 * values. */
#ifndef CLADE_TENSOR_LOOPS_ATTENTION_H
#define CLADE_TENSOR_LOOPS_ATTENTION_H

#include "tensor/loops/loops.h"

/* Keys or values of successive positions, all heads. */
struct key_rows {
    const real *data;
    int64_t count, heads, width;
    int64_t stride, head_stride; /* between positions and between heads */
    int64_t group;               /* rows of queries that read one head */
};

struct attention_loops {
    /* x[i] = cap tanh(x[i] / cap); slope[i] is its derivative, unless slope is NULL. */
    void (*soft_cap)(int64_t n, real cap, real *x, real *slope);
    /* x[i] += y[-i], and y[-i] += x[i]. */
    void (*add_reversed)(int64_t n, const real *y, real *x);
    void (*add_to_reversed)(int64_t n, const real *x, real *y);
    void (*scale)(int64_t n, real factor, real *x);
    /* x[i] = exp(x[i] - m) with m the largest of *largest and all x, or 0 if that is -infinity; *largest
     * becomes m. *total, which stands over exp(*largest), is brought to the new scale and the x are added.
     * Returns the change of scale. */
    real (*online_softmax)(int64_t n, real *x, real *largest, real *total);
    /* scores[i] becomes the weight w = exp(scores[i] - log_sum), gradient[i] becomes w (gradient[i] - mean).
     */
    void (*score_gradient)(int64_t n, real log_sum, real mean, real *scores, real *gradient);
    /* y [columns, rows] = x^T. */
    void (*transpose)(int64_t rows, int64_t columns, const real *x, int64_t x_stride, real *y,
                      int64_t y_stride);
    /* scores[r * scores_stride + s] = q_r . k_s for the rows q [k.heads * k.group, width]; row r reads head r
     * / k.group. */
    void (*dots)(const struct key_rows *k, const real *q, real *scores, int64_t scores_stride);
    /* y_r += sum_s weights[r * weights_stride + s] v_s for the rows y [v.heads * v.group, width]. */
    void (*add_weighted)(const struct key_rows *v, const real *weights, int64_t weights_stride, real *y);
};

LOOPS_DECLARE(struct attention_loops, attention_loops)

#endif
