/* broadcast.h: the common index space of a result and of inputs that broadcast to it, for pointwise
 * operations. */
#ifndef CLADE_TENSOR_BROADCAST_H
#define CLADE_TENSOR_BROADCAST_H

#include "tensor/tensor.h"

#define SPACE_OPERANDS 4 /* the result and at most three inputs */

/* Axes of length 1 are dropped and even neighbours joined. Operand 0 is the result, 1 + i is input i. The
 * last axis is the row; along it every operand steps by 0 (it is broadcast) or 1. */
struct space {
    int rank;
    int64_t shape[TENSOR_MAX_RANK];
    int64_t stride[SPACE_OPERANDS][TENSOR_MAX_RANK];
    int64_t step[SPACE_OPERANDS]; /* along the row */
    int64_t rows, row_length;
};

/* x, or a copy if its steps along the rows of a result of this shape would be neither 0 nor 1. */
tensor *with_even_rows(tensor *x, int rank, const int64_t *shape);
struct space space_of(const tensor *y); /* inputs must have passed with_even_rows() */

/* What is done to `n` entries of a row that starts at these offsets from the operands' first elements. */
typedef void (*row_body)(const tensor *y, const struct space *space, const int64_t *offset, int64_t n);
/* The whole space, in parallel, over tiles that do not depend on the number of threads. */
void space_each_row(const tensor *y, const struct space *space, row_body body);

/* Whether several entries of the result read one entry of the operand. */
bool space_repeats(const struct space *space, int operand);
/* The gradient of such an operand: the sum over the entries that read it. body adds what `n` entries of a row
 * contribute to sum[i * step of the operand]. In parallel; the order of additions is fixed. */
typedef void (*sum_body)(const tensor *y, const struct space *space, const int64_t *offset, int64_t n,
                         real *sum);
void space_collect(const tensor *y, const struct space *space, int operand, sum_body body, real *gradient);

/* Widens shape (of the given rank) so that x broadcasts to it; raises if it does not. */
void broadcast_shape(int *rank, int64_t *shape, const tensor *x, const char *name);

#endif
