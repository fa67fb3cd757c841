/* recurrent_cell.h: recurrences that go token by token, such as an LSTM's.
 *
 * A cell is written once, as operations on vectors of one token, and run over all tokens by one node of the
 * graph: products by OpenBLAS over tiles of rows, pointwise maps by the engine's loops, backward through time
 * in reverse.
 *
 *     struct recurrent_cell *cell = recurrent_cell(graph, batch, length);
 *     int x = cell_input(cell, projected), h = cell_state(cell, width, NULL);
 *     int y = cell_unary(cell, UNARY_tanh, cell_binary(cell, BINARY_add, x, cell_product(cell, h, weight)));
 *     cell_update(cell, h, y);
 *     tensor *output = cell_run(cell, y), *last = cell_final(cell, h);
 *
 * What does not depend on the state belongs outside, where one product serves all tokens. Inputs, parameters,
 * matrices and initial states are TENSOR_MAX_INPUTS tensors at most. */
#ifndef CLADE_TENSOR_RECURRENT_CELL_H
#define CLADE_TENSOR_RECURRENT_CELL_H

#include "tensor/loops/pointwise.h"
#include "tensor/tensor.h"

struct recurrent_cell;

struct recurrent_cell *recurrent_cell(struct graph *graph, int64_t batch, int64_t length);

/* Vectors, by number. */
int cell_input(struct recurrent_cell *cell, tensor *x);     /* x_t of x [B, T, w] */
int cell_parameter(struct recurrent_cell *cell, tensor *v); /* v [w], the same at every token */
/* What cell_update() of the token before left; `initial` [B, 1, w] before the first, or NULL for zero. */
int cell_state(struct recurrent_cell *cell, int64_t width, tensor *initial);
void cell_update(struct recurrent_cell *cell, int state, int value);

/* W a for W [o, i], or W [H, o, i] with a matrix for each of the H heads, which are contiguous slices of a
 * and of the result. */
int cell_product(struct recurrent_cell *cell, int a, tensor *w);
/* W_t a for W [T, o, i] with a matrix for each token, to which no gradient passes. */
int cell_token_product(struct recurrent_cell *cell, int a, tensor *w);
/* The functions of loops/pointwise.h. */
int cell_unary(struct recurrent_cell *cell, enum unary function, int a);
int cell_affine(struct recurrent_cell *cell, int a, double scale, double shift);
int cell_binary(struct recurrent_cell *cell, enum binary function, int a, int b); /* equal widths */
/* Part `part` of `parts` equal ones of each head of a. */
int cell_part(struct recurrent_cell *cell, int a, int heads, int part, int parts);
/* a as a constant of the gradient: for stabilisers, on which the output does not depend. */
int cell_stop(struct recurrent_cell *cell, int a);

/* Records the node: `output` of every token, [B, T, w]. Every state has to have its update. */
tensor *cell_run(struct recurrent_cell *cell, int output);
tensor *cell_final(const struct recurrent_cell *cell, int state); /* after cell_run(): [B, 1, w] */

#endif
