/* matrix_step.h: one token of a matrix-state recurrence, from one state to the next, both in memory. */
#ifndef CLADE_TENSOR_LOOPS_MATRIX_STEP_H
#define CLADE_TENSOR_LOOPS_MATRIX_STEP_H

#include "tensor/loops/loops.h"
#include <stdbool.h>

struct matrix_step {
    int64_t rows, lanes;
    const real *q, *k, *v;
    const real *log_decay; /* NULL, or per row, or one for all rows with scalar_decay */
    bool scalar_decay;
    const real *beta, *bonus; /* each may be NULL, not both given */
    bool delta;               /* beta is of the delta rule, else it multiplies v */
    real scale;
    const real *first; /* [rows, lanes] with a stride between rows; NULL for zeros */
    int64_t first_stride;
    real *last; /* [rows, lanes]; may be NULL */
    real *y;
    real *scratch; /* 3 rows + lanes */
};

struct matrix_step_loops {
    void (*step)(const struct matrix_step *step);
};

LOOPS_DECLARE(struct matrix_step_loops, matrix_step_loops)

#endif
