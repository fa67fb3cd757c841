/* complex.h: loops over complex numbers stored as (real, imaginary) pairs. */
#ifndef CLADE_TENSOR_LOOPS_COMPLEX_H
#define CLADE_TENSOR_LOOPS_COMPLEX_H

#include "tensor/loops/loops.h"

struct complex_loops {
    /* y[i] = a[i] b[i] for n numbers; y may be a or b. */
    void (*multiply)(int64_t n, const real *a, const real *b, real *y);
    /* y[i] += a[i] conj(b[i]) */
    void (*multiply_conjugate_add)(int64_t n, const real *a, const real *b, real *y);
};

LOOPS_DECLARE(struct complex_loops, complex_loops)

#endif
