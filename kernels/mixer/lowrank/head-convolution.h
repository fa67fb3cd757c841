/* head-convolution.h: the short convolution of values that stands beside cheap approximations of
 * attention. */
#ifndef CLADE_KERNELS_HEAD_CONVOLUTION_H
#define CLADE_KERNELS_HEAD_CONVOLUTION_H

#include "block/kernel.h"

/* v [B, T, H, d] by taps for each head along time, conv.weight [H, 1, size, 1], size odd, centred, zeros
 * around. */
static inline tensor *head_convolution(struct scope *s, tensor *v, int64_t size)
{
    int64_t heads = v->shape[2], d = v->shape[3], length = v->shape[1];
    tensor *weight = parameter(s, "conv.weight", init_linear(), 4, SHAPE(heads, 1, size, 1));
    weight = tensor_repeat_interleave(tensor_reshape(weight, 2, SHAPE(heads, size)), 0, d);
    tensor *rows = tensor_pad(merge_heads(v), 1, 0, size / 2, 0);
    rows = tensor_causal_convolution(rows, weight, NULL, NULL);
    return split_heads(tensor_slice(rows, 1, size / 2, length), heads);
}

#endif
