/* CoPE (cope, section 4; the listing of its appendix): a key's position, seen from a query, is the number of
 * tokens from it to the query that pass a gate which the query sets, and a fractional one lies between two
 * trained vectors:
 *
 *     a_ts = q_t . k_s / sqrt(d),    p_ts = min(sum over s <= j <= t of sigmoid(a_tj), positions - 1)
 *     score = a_ts + (p - floor p) q_t . P_ceil(p) + (1 - p + floor p) q_t . P_floor(p)
 *
 * P = pos_emb [1, d, positions] is common to all heads. Gradients reach the gates through the fraction alone,
 * and not where p is cut off. The method needs all scores: B H T S numbers. */
#include "distance-bias.h"

static struct score_bias bias(struct scope *s, tensor *q, tensor *k, int64_t offset)
{
    int64_t rows = q->shape[1], columns = k->shape[1], count = option(s, "positions");
    tensor *table = parameter(s, "pos_emb", init_constant(0), 3, SHAPE(1, q->shape[3], count));
    tensor *gates =
        tensor_multiply(tensor_sigmoid(scaled_scores(q, k)), lower_triangle(s->graph, rows, columns, offset));
    tensor *position = tensor_flip(tensor_cumulative_sum(tensor_flip(gates, 3), 3), 3);
    position = tensor_clamp(position, 0, (double)count - 1);
    tensor *below = tensor_floor(position), *share = tensor_subtract(position, below);
    tensor *above = tensor_negate(tensor_floor(tensor_negate(position)));
    tensor *values = tensor_matmul(tensor_transpose(q, 1, 2), table); /* q_t . P_n: [B, H, T, positions] */
    tensor *high = tensor_gather(values, 3, above), *low = tensor_gather(values, 3, below);
    return (struct score_bias){.full = tensor_add(low, tensor_multiply(share, tensor_subtract(high, low)))};
}

KERNEL(contextual_position) = {
    .name = "contextual-position",
    .slot = SLOT_POSITION,
    .variant = "cope",
    .summary = "positions count the tokens that a query's gate lets pass, and are interpolated",
    .options = OPTIONS(INTEGER_OPTION("positions", 64, 1, 1 << 20, "counts that have a vector")),
    .characters = CHARACTERS({"position", "contextual"}),
    .bias = bias,
};
