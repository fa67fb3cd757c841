/* vector-neurons.h: maps of tokens whose features are vectors in space. x [B, T, D 3] holds D features of
 * three coordinates each; whatever acts on features alone turns with the coordinates. */
#ifndef CLADE_KERNELS_VECTOR_NEURONS_H
#define CLADE_KERNELS_VECTOR_NEURONS_H

#include "block/kernel.h"

enum { COORDINATES = 3 };

/* [B, T, D 3] -> [B, T, 3, D] and back. */
static inline tensor *coordinates_first(tensor *x)
{
    int64_t features = x->shape[2] / COORDINATES;
    return tensor_transpose(tensor_reshape(x, 4, SHAPE(x->shape[0], x->shape[1], features, COORDINATES)), 2,
                            3);
}

static inline tensor *features_first(tensor *x)
{
    return tensor_reshape(tensor_transpose(x, 2, 3), 3,
                          SHAPE(x->shape[0], x->shape[1], COORDINATES * x->shape[3]));
}

/* x [B, T, 3, D] W^T with NAME.weight; with bias_epsilon > 0 a bias NAME.bias of that length, the same for
 * each coordinate, which breaks the symmetry by no more. */
static inline tensor *vector_linear(struct scope *s, const char *name, tensor *x, int64_t outputs)
{
    double epsilon = option_real(s, "bias_epsilon");
    tensor *y = linear(s, name, x, outputs, false);
    if (epsilon == 0)
        return y;
    tensor *bias = parameter(s, part_name(s, "%s.bias", name), init_normal(1), 1, SHAPE(outputs));
    return tensor_add(y, tensor_scale(tensor_l2_norm_max(bias, 1e-12), epsilon));
}

static inline const char *validate_vectors(const struct scope *s)
{
    return s->width % COORDINATES ? "features are vectors of 3 coordinates: a width that is divisible by 3"
                                  : NULL;
}

#endif
