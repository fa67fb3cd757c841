/* rolled-products.h: the deterministic parameter-free projection of fast weight programmers (deltanet,
 * section 5.4). */
#ifndef CLADE_KERNELS_ROLLED_PRODUCTS_H
#define CLADE_KERNELS_ROLLED_PRODUCTS_H

#include "block/kernel.h"

/* u_i u_{i-j} around the end, for u = [relu(x) ; relu(-x)] over the last axis and j = 1 .. count:
 * [.., d] -> [.., 2 d count]. */
static inline tensor *rolled_products(tensor *x, int64_t count)
{
    tensor *u = tensor_concat(2, (tensor *[]){tensor_relu(x), tensor_relu(tensor_negate(x))}, -1);
    struct pieces products = {0};
    for (int64_t j = 1; j <= count; j++)
        add_piece(&products, tensor_multiply(u, tensor_roll(u, -1, j)));
    return join_pieces(&products, -1);
}

#endif
