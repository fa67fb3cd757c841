/* ETSformer's residual (etsformer): what the mixer explains is taken away, x - mixer(x); the feed-forward
 * network's output is added. */
#include "block/kernel.h"

static tensor *combine(struct scope *s, tensor *x, tensor *branch_output, int branch)
{
    (void)s;
    return (branch == 0 ? tensor_subtract : tensor_add)(x, branch_output);
}

KERNEL(subtractive_residual) = {
    .name = "subtractive-residual",
    .slot = SLOT_RESIDUAL,
    .variant = "etsformer",
    .summary = "what the mixer explains is subtracted",
    .characters = CHARACTERS({"residual", "add"}),
    .combine = combine,
};
