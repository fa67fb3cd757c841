/* self_delta.h: the tokens of one head whose fast weights program themselves, one after the other. */
#ifndef CLADE_TENSOR_LOOPS_SELF_DELTA_H
#define CLADE_TENSOR_LOOPS_SELF_DELTA_H

#include "tensor/loops/loops.h"

/* Rows of a token lie `row` and `wide_row` apart: those of d and of wide = 3 d + 1 numbers. */
struct self_delta_head {
    int64_t d, wide, steps, row, wide_row, mix_row;
    const real *program;
    const real *mix, *added; /* [d, wide], rows mix_row apart, and rows of d; NULL if absent */
    const real *output;      /* before the first token, [d]; NULL for zeros */
    real *y;
    real *used;    /* softmax(q), softmax(k), v and sigmoid(b) of each token */
    real *state;   /* W^T [d, d]; from before the first token to after the last */
    real *scratch; /* 2 d */
};

struct self_delta_loops {
    void (*forward)(const struct self_delta_head *head);
};

LOOPS_DECLARE(struct self_delta_loops, self_delta_loops)

#endif
