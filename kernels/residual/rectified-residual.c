/* The shortcut of a residual network: y = relu(x + f(x)) (resnet, eq. 1 and figure 2, where the relu follows
 * the sum). */
#include "block/kernel.h"

static tensor *combine(struct scope *s, tensor *x, tensor *branch_output, int branch)
{
    (void)s, (void)branch;
    return tensor_relu(tensor_add(x, branch_output));
}

KERNEL(rectified_residual) = {
    .name = "rectified-residual",
    .slot = SLOT_RESIDUAL,
    .variant = "resnet",
    .summary = "the branch is added, then what is negative becomes zero",
    .characters = CHARACTERS({"residual", "add"}),
    .combine = combine,
};
