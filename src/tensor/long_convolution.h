/* long_convolution.h: the two ways to compute a convolution with kernels as long as the sequence. */
#ifndef CLADE_TENSOR_LONG_CONVOLUTION_H
#define CLADE_TENSOR_LONG_CONVOLUTION_H

#include "tensor/operation.h"

struct convolution {
    bool circular;
    int64_t ahead; /* taps of later inputs, before the one of the present input */
    int64_t batch, length, channels;
    int64_t taps;    /* of the kernel; those that meet no input are left out at its end */
    int64_t kernels; /* 1, or one for each sequence of the batch */
    int64_t sharing; /* sequences of one kernel: the batch, or 1 */
    bool alike;      /* the channels share one kernel */
};

/* Parts of a gradient that are computed in turn: what adds to one kernel is never shared out. */
static inline int64_t convolution_parts(const struct convolution *c, int64_t tiles)
{
    return c->alike ? 1 : tiles;
}

/* Multiplications of the direct sum for one channel of one sequence. */
double convolution_pairs(const struct convolution *c);
/* Operations of this many transforms, and of one product of spectra. */
double convolution_transform_flops(const struct convolution *c, double transforms);
double convolution_product_flops(const struct convolution *c);

static inline int64_t convolution_tiles(const struct convolution *c, int64_t channels)
{
    return (c->channels + channels - 1) / channels;
}

/* y of inputs x and kernel, and what y's gradient adds to theirs, as the sum says: time grows with length
 * times taps. */
void convolution_direct(tensor *y, const struct convolution *c);
void convolution_direct_backward(tensor *y, const struct convolution *c);
/* The same through Fourier transforms: length log length. */
void convolution_spectral(tensor *y, const struct convolution *c);
void convolution_spectral_backward(tensor *y, const struct convolution *c);

#endif
