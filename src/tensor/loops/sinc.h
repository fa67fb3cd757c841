/* sinc.h: inner loops of products of sin(z) / z over one row of keys. */
#ifndef CLADE_TENSOR_LOOPS_SINC_H
#define CLADE_TENSOR_LOOPS_SINC_H

#include "tensor/loops/loops.h"

struct sinc_loops {
    /* y *= sin(z) / z with z = rate (q - k[i]) */
    void (*multiply)(int64_t n, real rate, real q, const real *k, real *y);
    /* y = weights d log(sin(z) / z) / dz; returns the sum of y (q - k[i]) */
    real (*slope)(int64_t n, real rate, real q, const real *k, const real *weights, real *y);
};

LOOPS_DECLARE(struct sinc_loops, sinc_loops)

#endif
