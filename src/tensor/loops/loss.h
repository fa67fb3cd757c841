/* loss.h: inner loops of the cross entropy over one row of logits. */
#ifndef CLADE_TENSOR_LOOPS_LOSS_H
#define CLADE_TENSOR_LOOPS_LOSS_H

#include "tensor/loops/loops.h"

struct loss_loops {
    real (*log_sum_exp)(int64_t n, const real *x);
    /* dx[i] += factor exp(x[i] - log_sum) */
    void (*add_softmax)(int64_t n, const real *x, real log_sum, real factor, real *dx);
};

LOOPS_DECLARE(struct loss_loops, loss_loops)

#endif
