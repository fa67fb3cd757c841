/* gated-cell.h: one update of a gated recurrent unit, as torch's GRUCell:
 *
 *     r = sigmoid(W_r x + b_r + U_r h + c_r),   z likewise,   n = tanh(W_n x + b_n + r (U_n h + c_n)),
 *         h' = z h + (1 - z) n
 *
 * W = NAME.weight_ih, b = NAME.bias_ih, U = NAME.weight_hh, c = NAME.bias_hh, rows in the order r, z, n. */
#ifndef CLADE_KERNELS_GATED_CELL_H
#define CLADE_KERNELS_GATED_CELL_H

#include "block/kernel.h"

/* h' for x and h [B, T, D]. */
static inline tensor *gated_cell(struct scope *s, const char *name, tensor *x, tensor *h)
{
    int64_t D = s->width;
    static const char *const sides[] = {"ih", "hh"};
    tensor *of[2];
    for (int i = 0; i < 2; i++) {
        const char *weight = part_name(s, "%s.weight_%s", name, sides[i]);
        const char *bias = part_name(s, "%s.bias_%s", name, sides[i]);
        of[i] = tensor_linear(i ? h : x, parameter(s, weight, init_linear(), 2, SHAPE(3 * D, D)),
                              parameter(s, bias, init_constant(0), 1, SHAPE(3 * D)));
    }
    tensor *gates =
        tensor_sigmoid(tensor_add(tensor_slice(of[0], 2, 0, 2 * D), tensor_slice(of[1], 2, 0, 2 * D)));
    tensor *r = tensor_slice(gates, 2, 0, D), *z = tensor_slice(gates, 2, D, D);
    tensor *own = tensor_multiply(r, tensor_slice(of[1], 2, 2 * D, D));
    tensor *n = tensor_tanh(tensor_add(tensor_slice(of[0], 2, 2 * D, D), own));
    return tensor_add(n, tensor_multiply(z, tensor_subtract(h, n)));
}

#endif
