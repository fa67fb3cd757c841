/* bistable-cell.h: the neuromodulated bistable recurrent cell (Vecoven et al. 2021) as a gate between an
 * input x and a state h. */
#ifndef CLADE_KERNELS_BISTABLE_CELL_H
#define CLADE_KERNELS_BISTABLE_CELL_H

#include "block/kernel.h"

/* a = 1 + tanh(Ua x + Wa h), c = sigmoid(Uc x + Wc h), y = c h + (1 - c) tanh(U x + a h); names of parameters
 * follow `name`. */
static inline tensor *bistable_cell(struct scope *s, const char *name, tensor *x, tensor *h)
{
    const char *const maps[] = {"Ua", "Wa", "Uc", "Wc", "U"};
    tensor *of[5];
    for (int i = 0; i < 5; i++)
        of[i] = linear(s, part_name(s, "%s%s", name, maps[i]), i == 1 || i == 3 ? h : x, s->width, true);
    tensor *a = tensor_affine(tensor_tanh(tensor_add(of[0], of[1])), 1, 1);
    tensor *c = tensor_sigmoid(tensor_add(of[2], of[3]));
    tensor *fresh = tensor_tanh(tensor_add(of[4], tensor_multiply(a, h)));
    return tensor_add(fresh, tensor_multiply(c, tensor_subtract(h, fresh)));
}

#endif
