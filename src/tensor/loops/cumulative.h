/* cumulative.h: running sums, products and the like down the columns of a matrix. */
#ifndef CLADE_TENSOR_LOOPS_CUMULATIVE_H
#define CLADE_TENSOR_LOOPS_CUMULATIVE_H

#include "tensor/loops/loops.h"

enum cumulative {
    CUMULATIVE_SUM,
    CUMULATIVE_PRODUCT,
    CUMULATIVE_MAX,
    CUMULATIVE_LOG_SUM_EXP,
    CUMULATIVE_COUNT
};

#define CUMULATIVE_COLUMNS 64 /* most columns of one call */

struct cumulative_loops {
    /* y from x, both `length` rows of `columns` numbers, rows `stride` apart. */
    void (*forward[CUMULATIVE_COUNT])(int64_t length, int64_t stride, int64_t columns, const real *x,
                                      real *y);
    /* dx += ...; of x and y only what the function needs is read (the sum: neither). */
    void (*backward[CUMULATIVE_COUNT])(int64_t length, int64_t stride, int64_t columns, const real *x,
                                       const real *y, const real *dy, real *dx);
};

LOOPS_DECLARE(struct cumulative_loops, cumulative_loops)

#endif
