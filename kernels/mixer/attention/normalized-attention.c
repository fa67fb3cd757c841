/* Normalized attention (normalized-attention, section 4; lucidrains/all-normalization-transformer Attention).
 * In place of a softmax the scores of each query over the n keys that it sees are standardised, as by a layer
 * norm:
 *
 *     s_tj = q_t . k_j / sqrt(D),   a_tj = g_h (s_tj - mean_t) / sqrt(variance_t + epsilon) + b_h,
 *         y = concat_h(a v) Wo + bo
 *
 * with D the whole width, and the variance divided by n. Weights may be negative. The first token, whose
 * variance is 0, reads b_h v. With `shared` keys are the values. */
#include "pair-scores.h"

/* The mean over the keys that are seen: [B, H, T, 1]. */
static tensor *seen_mean(tensor *scores, tensor *seen)
{
    int64_t rows = seen->shape[0];
    tensor *shares = tensor_constant(seen->graph, NULL, 2, SHAPE(rows, 1));
    for (int64_t i = 0; i < rows; i++)
        shares->data[i] = (real)(1 / (double)(seen->shape[1] - rows + i + 1));
    return tensor_multiply(tensor_sum(tensor_multiply(scores, seen), 3), shares);
}

/* Standardised scores, 0 where keys are hidden. */
static tensor *standardise(struct scope *s, tensor *scores)
{
    double epsilon = option_real(s, "epsilon");
    const int64_t *by_head = SHAPE(1, option(s, "heads"), 1, 1);
    tensor *g = parameter(s, "norm_g", init_constant(1), 4, by_head);
    tensor *b = parameter(s, "norm_b", init_constant(0), 4, by_head);
    bool causal = option(s, "causal");
    tensor *seen = causal ? seen_pairs(scores) : NULL;
    tensor *centred = tensor_subtract(scores, causal ? seen_mean(scores, seen) : tensor_mean(scores, 3));
    tensor *squares = tensor_square(centred);
    tensor *variance = causal ? seen_mean(squares, seen) : tensor_mean(squares, 3);
    tensor *deviation = tensor_reciprocal_sqrt(tensor_affine(variance, 1, epsilon));
    tensor *weights = tensor_add(tensor_multiply(centred, tensor_multiply(deviation, g)), b);
    return causal ? tensor_multiply(weights, seen) : weights;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), width = s->width, shared = option(s, "shared");
    tensor *qkv = linear(s, "to_qkv", x, (3 - shared) * width, false);
    tensor *q = heads_first(tensor_slice(qkv, 2, 0, width), heads);
    tensor *k = heads_first(cache_append(s, "key", tensor_slice(qkv, 2, width, width), 0), heads);
    tensor *v = k;
    if (!shared)
        v = heads_first(cache_append(s, "value", tensor_slice(qkv, 2, 2 * width, width), 0), heads);
    tensor *scores = tensor_scale(tensor_matmul_nt(q, k), 1 / sqrt((double)width));
    return linear(s, "to_out", weighted_values(standardise(s, scores), v), width, true);
}

KERNEL(normalized_attention) = {
    .name = "normalized-attention",
    .slot = SLOT_MIXER,
    .variant = "normalized-attention",
    .summary = "attention whose scores are standardised over the keys in place of a softmax",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       FLAG_OPTION("shared", 0, "keys are the values"),
                       REAL_OPTION("epsilon", 1e-8, 0, 1, "added to the variance"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "other"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = causality_by_option,
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
