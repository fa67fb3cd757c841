/* strides.h: sequences read at a stride: tokens t, t + l, t + 2 l, .. stand in a row of their own. */
#ifndef CLADE_KERNELS_STRIDES_H
#define CLADE_KERNELS_STRIDES_H

#include "block/kernel.h"

/* x [B, T, H, d] -> [B l, T / l rounded up, H, d], zeros after the end. */
static inline tensor *strided_rows(tensor *x, int64_t stride)
{
    int64_t B = x->shape[0], n = (x->shape[1] + stride - 1) / stride, H = x->shape[2], d = x->shape[3];
    x = tensor_pad(x, 1, 0, n * stride - x->shape[1], 0);
    x = tensor_transpose(tensor_reshape(x, 5, SHAPE(B, n, stride, H, d)), 1, 2);
    return tensor_reshape(x, 4, SHAPE(B * stride, n, H, d));
}

/* Back to [B, length, H, d]. */
static inline tensor *joined_strides(tensor *x, int64_t stride, int64_t length)
{
    int64_t B = x->shape[0] / stride, n = x->shape[1], H = x->shape[2], d = x->shape[3];
    x = tensor_transpose(tensor_reshape(x, 5, SHAPE(B, stride, n, H, d)), 1, 2);
    return tensor_slice(tensor_reshape(x, 4, SHAPE(B, n * stride, H, d)), 1, 0, length);
}

#endif
