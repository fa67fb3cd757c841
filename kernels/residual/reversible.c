/* Reversible residuals (reformer, section 3; after Gomez et al. 2017): two streams, of which each is
 * recovered from the other's next value, so that training need not store activations.
 *
 *     y1 = x1 + mixer(norm(x2)),   y2 = x2 + ffn(norm(y1));
 *         both begin as the input, and the last layer gives their mean
 *
 * What passes between layers as x is the second stream. Activations are kept here all the same. */
#include "block/kernel.h"

static tensor *combine(struct scope *s, tensor *x, tensor *branch_output, int branch)
{
    if (branch == 0) {
        tensor *first = s->layer > 0 ? layer_find(s, s->layer - 1, "first stream") : NULL;
        return tensor_add(first ? first : x, branch_output);
    }
    layer_leave(s, "first stream", x);
    tensor *second = tensor_add(s->layer_input, branch_output);
    return s->layer + 1 < s->layers ? second : tensor_scale(tensor_add(x, second), 0.5);
}

KERNEL(reversible) = {
    .name = "reversible",
    .slot = SLOT_RESIDUAL,
    .variant = "reformer",
    .summary = "mixers add to one stream and feed-forward networks to another, each reading the other stream",
    .characters = CHARACTERS({"residual", "add"}),
    .combine = combine,
};
