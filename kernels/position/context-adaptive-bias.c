/* CAPE, published as DAPE (cape, section 3; chuanyang-Zheng/DAPE ParallelKerpleLog_DAPE, AliBi_DAPE and
 * FIRE_DAPE): a static bias b of the distance is corrected by a small network that sees it beside the scores
 * a = q_t . k_s / sqrt(d), all heads together:
 *
 *     a + b + f(a | b),    f = W2 leaky_relu(W0 (a | b) + b0) + b2
 *         from 2 H to H numbers for each pair of tokens
 *
 * b is kerple's logarithm, alibi's line or fire's network (here with leaky_relu too). Each pair has a hidden
 * layer of its own, which is what the method costs: B T S hidden numbers. */
#include "distance-bias.h"

static tensor *static_bias(struct scope *s, int64_t heads, int64_t rows, int64_t columns)
{
    if (option_is(s, "base", "fire"))
        return interpolated_bias(s, heads, rows, columns, "leaky_relu");
    tensor *table = option_is(s, "base", "alibi") ? linear_bias(s->graph, heads, columns)
                                                  : logarithmic_bias(s, heads, columns, 0.01);
    return spread_distances(table, rows);
}

static struct score_bias bias(struct scope *s, tensor *q, tensor *k, int64_t offset)
{
    (void)offset;
    int64_t heads = q->shape[2], hidden = option(s, "hidden");
    tensor *b = static_bias(s, heads, q->shape[1], k->shape[1]);
    tensor *scores = tensor_permute(scaled_scores(q, k), (const int[]){0, 2, 3, 1}); /* [B, T, S, H] */
    tensor *weight = parameter(s, "mlp2.0.weight", init_linear(), 2, SHAPE(hidden, 2 * heads));
    tensor *shift = parameter(s, "mlp2.0.bias", init_linear(), 1, SHAPE(hidden));
    /* W0 (a | b) by its columns: those for b are the same for the whole batch. */
    tensor *of_bias = tensor_linear(tensor_permute(b, (const int[]){1, 2, 0}),
                                    tensor_contiguous(tensor_slice(weight, 1, heads, heads)), shift);
    tensor *z = tensor_linear(scores, tensor_contiguous(tensor_slice(weight, 1, 0, heads)), NULL);
    z = linear(s, "mlp2.2", tensor_leaky_relu(tensor_add(z, of_bias), 0.01), heads, true);
    return (struct score_bias){.full = tensor_add(tensor_permute(z, (const int[]){0, 3, 1, 2}), b)};
}

KERNEL(context_adaptive_bias) = {
    .name = "context-adaptive-bias",
    .slot = SLOT_POSITION,
    .variant = "cape",
    .summary = "a network corrects the bias of the distance by the scores of all heads",
    .options = OPTIONS(CHOICE_OPTION("base", "kerple|alibi|fire", "the static bias"),
                       INTEGER_OPTION("hidden", 32, 1, 1 << 16, "of the networks"),
                       REAL_OPTION("threshold", 512, 0, 1e9,
                                   "of fire: below which positions are taken as it"),
                       REAL_OPTION("epsilon", 1e-6, 0, 1, "of fire: added to the divisor")),
    .characters = CHARACTERS({"position", "contextual"}),
    .bias = bias,
};
