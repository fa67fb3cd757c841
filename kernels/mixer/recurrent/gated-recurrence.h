/* gated-recurrence.h: the gated recurrent unit over a sequence.
 *
 *     r = sigmoid(W_r x_t + U_r h_{t-1} + b_r),   z = sigmoid(W_z x_t + U_z h_{t-1} + b_z),
 *         h_t = z h_{t-1} + (1 - z) g
 *     reset before: g = tanh(W x_t + U (r h_{t-1}) + b)
 *         after: g = tanh(W x_t + b + r (U h_{t-1} + b'))
 *
 * Rows of weight_ih_l0 and weight_hh_l0 are (r, z, g). */
#ifndef CLADE_KERNELS_GATED_RECURRENCE_H
#define CLADE_KERNELS_GATED_RECURRENCE_H

#include "kept-state.h"

/* The candidate g from its input and the reset gate. */
static inline int gated_candidate(struct recurrent_cell *cell, bool reset_before, int input, int r, int h,
                                  tensor *matrix, tensor *bias)
{
    int own;
    if (reset_before) {
        own = cell_product(cell, cell_binary(cell, BINARY_multiply, r, h), matrix);
        own = cell_binary(cell, BINARY_add, own, cell_parameter(cell, bias));
    } else {
        own = cell_binary(cell, BINARY_add, cell_product(cell, h, matrix), cell_parameter(cell, bias));
        own = cell_binary(cell, BINARY_multiply, r, own);
    }
    return cell_unary(cell, UNARY_tanh, cell_binary(cell, BINARY_add, input, own));
}

/* h_t [B, T, width] of x [B, T, any]; parameters PREFIXweight_ih_l0SUFFIX and so on, as torch's GRU has them.
 * The last h is kept as PREFIXhSUFFIX. */
static inline tensor *gated_recurrence(struct scope *s, const char *prefix, const char *suffix, tensor *x,
                                       int64_t width, bool reset_before)
{
    const char *names[] = {"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "h"};
    for (int i = 0; i < 5; i++)
        names[i] = part_name(s, "%s%s%s", prefix, names[i], suffix);
    tensor *weight = parameter(s, names[0], init_linear(), 2, SHAPE(3 * width, x->shape[2]));
    tensor *matrix = parameter(s, names[1], init_linear(), 2, SHAPE(3 * width, width));
    tensor *bias = parameter(s, names[2], init_constant(0), 1, SHAPE(3 * width));
    tensor *own_bias = parameter(s, names[3], init_constant(0), 1, SHAPE(3 * width));
    tensor *of_gates = tensor_pad(tensor_slice(own_bias, 0, 0, 2 * width), 0, 0, width, 0);

    struct recurrent_cell *cell = cell_over(x);
    int h = kept_state(s, cell, x, names[4], width, 0);
    int inputs = cell_input(cell, tensor_linear(x, weight, tensor_add(bias, of_gates)));
    int products = cell_product(cell, h, tensor_slice(matrix, 0, 0, 2 * width)), gates[2];
    for (int i = 0; i < 2; i++)
        gates[i] = cell_unary(cell, UNARY_sigmoid,
                              cell_binary(cell, BINARY_add, cell_part(cell, inputs, 1, i, 3),
                                          cell_part(cell, products, 1, i, 2)));
    int g = gated_candidate(cell, reset_before, cell_part(cell, inputs, 1, 2, 3), gates[0], h,
                            tensor_slice(matrix, 0, 2 * width, width),
                            tensor_slice(own_bias, 0, 2 * width, width));
    int next = cell_mixture(cell, gates[1], h, cell_affine(cell, gates[1], -1, 1), g);
    cell_update(cell, h, next);
    tensor *y = cell_run(cell, next);
    keep_state(s, cell, names[4], h);
    return y;
}

#endif
