/* The norms that TransNormer puts after linear attention in place of a denominator (transnormer, section 4),
 * over all heads together. rms(o) = sqrt(mean(o^2)) + 1e-8; gated: scale * o / rms(o) * sigmoid(gate * o). */
#ifndef CLADE_KERNELS_OUTPUT_NORM_H
#define CLADE_KERNELS_OUTPUT_NORM_H

#include "block/kernel.h"

static inline tensor *output_norm(struct scope *s, const char *name, tensor *o)
{
    if (option_is(s, "norm", "layernorm"))
        return layer_norm(s, name, o, option_real(s, "epsilon"));
    /* The 1e-30 keeps the square root's slope finite where the output is zero. */
    tensor *rms = tensor_sqrt(tensor_affine(tensor_mean(tensor_square(o), 2), 1, 1e-30));
    tensor *y = tensor_divide(o, tensor_affine(rms, 1, 1e-8));
    if (option_is(s, "norm", "simple-rmsnorm"))
        return y;
    const int64_t *width = SHAPE(o->shape[2]);
    y = tensor_multiply(y, parameter(s, part_name(s, "%s.scale", name), init_constant(1), 1, width));
    if (option_is(s, "norm", "rmsnorm"))
        return y;
    tensor *gate = parameter(s, part_name(s, "%s.gate", name), init_constant(1), 1, width);
    return tensor_multiply(y, tensor_sigmoid(tensor_multiply(gate, o)));
}

#define OUTPUT_NORM_OPTIONS(choices)                                \
    CHOICE_OPTION("norm", choices, "of the output over all heads"), \
        REAL_OPTION("epsilon", 1e-5, 0, 1, "of a layer norm")

#endif
