/* The B2T connection (b2t; takase/b2t_connection TransformerEncoderLayer): the layer's input joins once more
 * in front of its last norm, past the first one: x1 = norm(x + mixer(x)), y = norm(x + x1 + ffn(x1)). */
#include "block/kernel.h"

static tensor *combine(struct scope *s, tensor *x, tensor *branch_output, int branch)
{
    tensor *y = tensor_add(x, branch_output);
    return branch == 0 ? y : tensor_add(s->layer_input, y);
}

KERNEL(bottom_to_top) = {
    .name = "bottom-to-top",
    .slot = SLOT_RESIDUAL,
    .variant = "b2t",
    .summary = "one more residual connection, from the layer's input to its end",
    .characters = CHARACTERS({"residual", "add"}),
    .combine = combine,
};
