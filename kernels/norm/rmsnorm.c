/* Root mean square normalisation (Zhang & Sennrich 2019): y = x / sqrt(mean(x^2) + epsilon) * weight.
 */
#include "block/kernel.h"

static tensor *forward(struct scope *s, tensor *x)
{
    tensor *weight =
        option(s, "affine") ? parameter(s, "weight", init_constant(1), 1, SHAPE(s->width)) : NULL;
    return tensor_rms_norm(x, weight, option_real(s, "epsilon"));
}

KERNEL(rmsnorm) = {
    .name = "rmsnorm",
    .slot = SLOT_NORM,
    .variant = "rmsnorm",
    .summary = "scales each token's channels to unit root mean square",
    .options = OPTIONS(REAL_OPTION("epsilon", 1e-6, 0, 1, "added to the mean square"),
                       FLAG_OPTION("affine", 1, "has a weight")),
    .characters = CHARACTERS({"norm", "rms"}),
    .forward = forward,
    .step = forward,
};
