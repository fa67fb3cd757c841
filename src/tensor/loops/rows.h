/* rows.h: loops over one row of contiguous numbers. */
#ifndef CLADE_TENSOR_LOOPS_ROWS_H
#define CLADE_TENSOR_LOOPS_ROWS_H

#include "tensor/loops/loops.h"

struct row_loops {
    real (*sum)(int64_t n, const real *x);
    real (*max)(int64_t n, const real *x); /* -infinity for n = 0 */
    /* Of the first of the largest entries, NaN counting as the largest so that it shows; n > 0. */
    int64_t (*place_of_max)(int64_t n, const real *x);
    real (*dot)(int64_t n, const real *x, const real *y);
    void (*add)(int64_t n, const real *x, real *y); /* y += x */
    /* y += weights[0] rows[0] + weights[1] rows[1] + .. */
    void (*add_weighted)(int64_t n, int count, const real *weights, const real *const *rows, real *y);
    /* Where x > y or x is the first NaN: y = x and place = index. */
    void (*max_with)(int64_t n, const real *x, real index, real *y, real *place);
    real (*exp_sum)(int64_t n, const real *x, real shift);                 /* sum of exp(x - shift) */
    void (*exp_add)(int64_t n, const real *x, const real *shift, real *y); /* y += exp(x - shift) */
    void (*log_add)(int64_t n, real *x, const real *shift);                /* x = log(x) + shift */
    /* dx += exp(x - y) dy, nothing where y is -infinity; y and dy step by 0 or 1. */
    void (*exp_backward)(int64_t n, const real *x, const real *y, int64_t step, const real *dy, real *dx);
    void (*softmax)(int64_t n, const real *x, real *y); /* all -inf gives zeros; y may be x */
    void (*softmax_backward)(int64_t n, const real *y, const real *dy, real *dx);
    /* weight and bias may be NULL, in the backward forms dx, dweight and dbias too; they are added to. */
    void (*layer_norm)(int64_t n, const real *x, const real *weight, const real *bias, real epsilon, real *y);
    void (*layer_norm_backward)(int64_t n, const real *x, const real *weight, real epsilon, const real *dy,
                                real *dx, real *dweight, real *dbias);
    /* y = x r weight with r = 1 / sqrt(factor sum(x^2) + epsilon); with floor_only r = 1 / max(|x|, epsilon).
     */
    void (*power_norm)(int64_t n, const real *x, const real *weight, real factor, real epsilon,
                       int floor_only, real *y);
    void (*power_norm_backward)(int64_t n, const real *x, const real *weight, real factor, real epsilon,
                                int floor_only, const real *dy, real *dx, real *dweight);
};

LOOPS_DECLARE(struct row_loops, row_loops)

#endif
