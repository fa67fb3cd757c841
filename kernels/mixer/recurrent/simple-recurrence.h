/* The recurrence of simple recurrent units (sru with both gates reading the memory before;
 * asappresearch/sru):
 *
 *     f = sigmoid(u1 + b_f + v_f c_{t-1}),   r = sigmoid(u2 + b_r + v_r c_{t-1})
 *     c_t = f c_{t-1} + (1 - f) u0,   h_t = r c_t + (1 - r) skip */
#ifndef CLADE_KERNELS_SIMPLE_RECURRENCE_H
#define CLADE_KERNELS_SIMPLE_RECURRENCE_H

#include "kept-state.h"

/* u [B, T, D 3] with the three fastest, `skip` [B, T, D]; parameters weight_c and bias, [f D | r D]; keeps
 * c. */
static inline tensor *simple_recurrence(struct scope *s, tensor *u, tensor *skip, double highway_bias)
{
    int64_t width = skip->shape[2];
    tensor *v = parameter(s, "weight_c", init_uniform(-0.5, 0.5), 1, SHAPE(2 * width));
    tensor *b = parameter(s, "bias", init_constant(highway_bias), 1, SHAPE(2 * width));
    tensor *parts[3];
    for (int i = 0; i < 3; i++) {
        parts[i] = tensor_slice_step(u, 2, i, width, 3);
        if (i > 0)
            parts[i] = tensor_add(parts[i], tensor_slice(b, 0, (i - 1) * width, width));
    }
    struct recurrent_cell *cell = cell_over(u);
    int c = kept_state(s, cell, u, "c", width, 0), gates[2];
    for (int i = 0; i < 2; i++) {
        int of_memory =
            cell_binary(cell, BINARY_multiply, cell_parameter(cell, tensor_slice(v, 0, i * width, width)), c);
        gates[i] = cell_unary(cell, UNARY_sigmoid,
                              cell_binary(cell, BINARY_add, cell_input(cell, parts[1 + i]), of_memory));
    }
    int next =
        cell_mixture(cell, gates[0], c, cell_affine(cell, gates[0], -1, 1), cell_input(cell, parts[0]));
    int h = cell_mixture(cell, gates[1], next, cell_affine(cell, gates[1], -1, 1), cell_input(cell, skip));
    cell_update(cell, c, next);
    tensor *y = cell_run(cell, h);
    keep_state(s, cell, "c", c);
    return y;
}

#endif
