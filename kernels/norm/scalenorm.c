/* ScaleNorm (scalenorm; tnq177/transformers_without_tears): y = g x / max(|x|, epsilon), one trained scalar
 * g, at first sqrt(D). With `mean` |x| is divided by sqrt(D) first and g starts at 1, as lucidrains' FLASH
 * has it; with `inside` as well epsilon is added to the mean square, as Mega has it. */
#include "block/kernel.h"
#include <math.h>

static tensor *forward(struct scope *s, tensor *x)
{
    double root = sqrt((double)s->width);
    bool mean = option(s, "mean");
    tensor *g = NULL;
    if (option(s, "affine"))
        g = parameter(s, mean ? "g" : "scale", init_constant(mean ? 1 : root), 1, SHAPE(1));
    tensor *unit;
    if (mean && option(s, "inside"))
        unit = tensor_rms_norm(x, NULL, option_real(s, "epsilon"));
    else
        unit = tensor_scale(tensor_l2_norm_max(x, option_real(s, "epsilon") * (mean ? root : 1)),
                            mean ? root : 1);
    return g ? tensor_multiply(unit, g) : unit;
}

KERNEL(scalenorm) = {
    .name = "scalenorm",
    .slot = SLOT_NORM,
    .variant = "scalenorm",
    .summary = "scales each token to a trained length",
    .options = OPTIONS(REAL_OPTION("epsilon", 1e-5, 0, 1, "least length"),
                       FLAG_OPTION("mean", 0, "lengths are root mean squares"),
                       FLAG_OPTION("affine", 1, "has a scalar"),
                       FLAG_OPTION("inside", 0, "with mean: epsilon is added to the mean square")),
    .characters = CHARACTERS({"norm", "rms"}),
    .forward = forward,
    .step = forward,
};
