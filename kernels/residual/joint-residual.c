/* One residual connection around both branches (gfnet; raoyongming/GFNet Block): y = x +
 * ffn(norm(mixer(norm(x)))). */
#include "block/kernel.h"

static tensor *combine(struct scope *s, tensor *x, tensor *branch_output, int branch)
{
    (void)x;
    return branch == 0 ? branch_output : tensor_add(s->layer_input, branch_output);
}

KERNEL(joint_residual) = {
    .name = "joint-residual",
    .slot = SLOT_RESIDUAL,
    .variant = "gfnet",
    .summary = "one residual connection around mixer and feed-forward network together",
    .characters = CHARACTERS({"residual", "add"}),
    .combine = combine,
};
