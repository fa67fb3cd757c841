/* Attention with linear biases (alibi, section 3): the score of query t and key s loses slope_h (t - s),
 * after the scale. For a power of two of heads slope_h = 2^(-8 (h + 1) / H); else the slopes of the power of
 * two below, followed by every other one of twice as many, as in the published get_slopes(). */
#include "distance-bias.h"

static struct score_bias bias(struct scope *s, tensor *q, tensor *k, int64_t offset)
{
    (void)offset;
    return (struct score_bias){.distance = linear_bias(s->graph, q->shape[2], k->shape[1])};
}

KERNEL(alibi) = {
    .name = "alibi",
    .slot = SLOT_POSITION,
    .variant = "alibi",
    .summary = "scores fall linearly with distance, each head at its own fixed rate",
    .characters = CHARACTERS({"position", "bias"}),
    .bias = bias,
};
