/* The lower bound of HGRN's forget gates (hgrn, section 3): with one trained row per layer, gamma_l =
 * sum_{i=1..l} softmax over layers (rows)_i per channel, so that it rises with depth and is 0 in layer 0,
 * which reads no rows. With `given_bound` gamma is a vector of this layer's own. */
#ifndef CLADE_KERNELS_LOWER_BOUND_H
#define CLADE_KERNELS_LOWER_BOUND_H

#include "block/kernel.h"

static inline int64_t bound_layer(const struct scope *s)
{
    return option(s, "layer") >= 0 ? option(s, "layer") : s->layer;
}

static inline int64_t bound_depth(const struct scope *s)
{
    return option_or(s, "depth", option(s, "layer") >= s->layers ? option(s, "layer") + 1 : s->layers);
}

/* NULL or what is wrong with the options. */
static inline const char *bound_validate(const struct scope *s)
{
    return bound_layer(s) >= bound_depth(s) ? "layer is not below depth" : NULL;
}

/* gamma + (1 - gamma) f for gates f [B, T, C] in (0, 1). */
static inline tensor *bounded_gate(struct scope *s, tensor *f)
{
    int64_t layer = bound_layer(s), channels = f->shape[2];
    tensor *gamma;
    if (option(s, "given_bound")) {
        gamma = parameter(s, "lower_bound", init_constant(0), 1, SHAPE(channels));
    } else if (option(s, "lower_bound") && layer > 0) {
        tensor *rows =
            shared_parameter(s, "lower_bounds", init_constant(0), 2, SHAPE(bound_depth(s), channels));
        tensor *shares = tensor_slice(tensor_softmax(rows, 0), 0, 1, layer);
        gamma = tensor_reshape(tensor_sum(shares, 0), 1, SHAPE(channels));
    } else {
        return f;
    }
    return tensor_add(gamma, tensor_multiply(tensor_affine(gamma, -1, 1), f));
}

#define BOUND_OPTIONS                                                                                \
    FLAG_OPTION("lower_bound", 1, "forget gates have a lower bound that rises with depth"),          \
        FLAG_OPTION("given_bound", 0, "the bound is a vector of the layer's own instead"),           \
        INTEGER_OPTION("layer", -1, -1, 1000, "the layer whose bound this is; -1: the block's own"), \
        INTEGER_OPTION("depth", 0, 0, 1000, "layers that share the bounds; 0: as many as there are")

#endif
