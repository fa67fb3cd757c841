/* The two-hop residual (megalodon, section 3.4): the feed-forward network's output is added to the layer's
 * input, not to what the mixer made of it: h = mixer(norm(x)) + x, y = ffn(norm(h)) + x. */
#include "block/kernel.h"

static tensor *combine(struct scope *s, tensor *x, tensor *branch_output, int branch)
{
    return tensor_add(branch == 0 ? x : s->layer_input, branch_output);
}

KERNEL(two_hop) = {
    .name = "two-hop",
    .slot = SLOT_RESIDUAL,
    .variant = "megalodon",
    .summary = "both branches are added to the layer's input",
    .characters = CHARACTERS({"residual", "add"}),
    .combine = combine,
};
