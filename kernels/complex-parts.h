/* complex-parts.h: how complex channels lie in a width: each as a pair of real and imaginary part, or with
 * the option `halves` all real parts before all imaginary ones. */
#ifndef CLADE_KERNELS_COMPLEX_PARTS_H
#define CLADE_KERNELS_COMPLEX_PARTS_H

#include "block/kernel.h"

#define HALVES_OPTION FLAG_OPTION("halves", 0, "all real parts stand before all imaginary ones, not in pairs")

/* x [B, T, 2 C] -> its real and its imaginary part, [2, B, T, C] */
static inline tensor *complex_parts(const struct scope *s, tensor *x)
{
    int64_t batch = x->shape[0], length = x->shape[1], channels = x->shape[2] / 2;
    if (option(s, "halves"))
        return tensor_permute(tensor_reshape(x, 4, SHAPE(batch, length, 2, channels)),
                              (const int[]){2, 0, 1, 3});
    return tensor_permute(tensor_reshape(x, 4, SHAPE(batch, length, channels, 2)), (const int[]){3, 0, 1, 2});
}

/* The inverse. */
static inline tensor *complex_channels(const struct scope *s, tensor *parts)
{
    const int *axes = option(s, "halves") ? (const int[]){1, 2, 0, 3} : (const int[]){1, 2, 3, 0};
    return tensor_reshape(tensor_permute(parts, axes), 3, SHAPE(parts->shape[1], parts->shape[2], -1));
}

static inline const char *validate_complex_width(const struct scope *s)
{
    return s->width % 2 ? "complex numbers take an even width" : NULL;
}

#endif
