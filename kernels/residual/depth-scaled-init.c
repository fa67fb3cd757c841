/* Depth-scaled initialisation (dsinit, DS-Init; bzhangGo/zero): plain residual connections whose branches
 * start smaller the higher they stand, so that the variance of a post-norm layer's output stays low and
 * gradients reach the lower layers.
 *
 *     y = x + f(x),   f's matrices at first times alpha / sqrt(l) in layer l = 1, 2, ..
 *
 * The paper scales Glorot's uniform range; here it is each kernel's own initial values. */
#include "block/kernel.h"
#include <math.h>

static tensor *combine(struct scope *s, tensor *x, tensor *branch_output, int branch)
{
    (void)s;
    (void)branch;
    return tensor_add(x, branch_output);
}

static double initial_scale(const struct scope *s)
{
    return option_real(s, "alpha") / sqrt((double)s->layer + 1);
}

KERNEL(depth_scaled_init) = {
    .name = "depth-scaled-init",
    .slot = SLOT_RESIDUAL,
    .variant = "dsinit",
    .summary = "plain addition; initial weights fall with the root of the layer's number",
    .options = OPTIONS(REAL_OPTION("alpha", 1, 1e-6, 1e6, "factor of all initial weights")),
    .characters = CHARACTERS({"residual", "add"}),
    .combine = combine,
    .initial_scale = initial_scale,
};
