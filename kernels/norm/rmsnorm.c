/* Root mean square normalisation (Zhang & Sennrich 2019): y = x / sqrt(mean(x^2) + epsilon) * weight;
 * with `clamped` y = x / max(sqrt(mean(x^2)), epsilon) * weight (lucidrains/x-transformers RMSNorm). */
#include "block/kernel.h"
#include <math.h>

static tensor *forward(struct scope *s, tensor *x)
{
    tensor *weight =
        option(s, "affine") ? parameter(s, "weight", init_constant(1), 1, SHAPE(s->width)) : NULL;
    double epsilon = option_real(s, "epsilon"), root = sqrt((double)s->width);
    if (!option(s, "clamped"))
        return tensor_rms_norm(x, weight, epsilon);
    tensor *unit = tensor_scale(tensor_l2_norm_max(x, epsilon * root), root);
    return weight ? tensor_multiply(unit, weight) : unit;
}

KERNEL(rmsnorm) = {
    .name = "rmsnorm",
    .slot = SLOT_NORM,
    .variant = "rmsnorm",
    .summary = "scales each token's channels to unit root mean square",
    .options = OPTIONS(REAL_OPTION("epsilon", 1e-6, 0, 1, "added to the mean square"),
                       FLAG_OPTION("clamped", 0, "epsilon is the least root mean square instead"),
                       FLAG_OPTION("affine", 1, "has a weight")),
    .characters = CHARACTERS({"norm", "rms"}),
    .forward = forward,
    .step = forward,
};
