/* Layer normalisation (layernorm): y = (x - mean) / sqrt(variance + epsilon) * weight + bias. */
#include "block/kernel.h"

static tensor *forward(struct scope *s, tensor *x)
{
    tensor *weight = NULL, *bias = NULL;
    if (option(s, "affine"))
        weight = parameter(s, "weight", init_constant(1), 1, SHAPE(s->width));
    if (option(s, "affine") && option(s, "bias"))
        bias = parameter(s, "bias", init_constant(0), 1, SHAPE(s->width));
    return tensor_layer_norm(x, weight, bias, option_real(s, "epsilon"));
}

KERNEL(layernorm) = {
    .name = "layernorm",
    .slot = SLOT_NORM,
    .variant = "layernorm",
    .summary = "centres and scales each token's channels",
    .options = OPTIONS(REAL_OPTION("epsilon", 1e-5, 0, 1, "added to the variance"),
                       FLAG_OPTION("affine", 1, "has weights"),
                       FLAG_OPTION("bias", 1, "has a bias beside the weight")),
    .characters = CHARACTERS({"norm", "layer"}),
    .forward = forward,
    .step = forward,
};
