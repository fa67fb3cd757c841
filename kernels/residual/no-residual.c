/* No residual connection: the branch's output replaces its input. For layers that are published without one
 * or that hold their own. */
#include "block/kernel.h"

static tensor *combine(struct scope *s, tensor *x, tensor *branch_output, int branch)
{
    (void)s, (void)x, (void)branch;
    return branch_output;
}

KERNEL(no_residual) = {
    .name = "no-residual",
    .slot = SLOT_RESIDUAL,
    .variant = "elman-rnn",
    .summary = "the branch's output replaces its input",
    .characters = CHARACTERS({"residual", "none"}),
    .combine = combine,
};
