/* elu(u) + 1 divided by its sum over a head's channels, as fast weight programmers use it. It is a softmax of
 * log(elu(u) + 1), which is u below 0 and log(1 + u) above, so it is finite also where every exponential
 * would vanish. */
#ifndef CLADE_KERNELS_POSITIVE_SHARES_H
#define CLADE_KERNELS_POSITIVE_SHARES_H

#include "tensor/tensor.h"

static inline tensor *positive_shares(tensor *u)
{
    tensor *above = tensor_relu(u);
    return tensor_softmax(tensor_add(tensor_subtract(u, above), tensor_log1p(above)), 3);
}

#endif
