/* Talking-heads attention (talking-heads; tensorflow/mesh TalkingHeadsSelfAttention, which puts the factor
 * 1 / sqrt(d) in the initial size of Wq). Linear maps across the heads stand before and after the softmax,
 * so the number of heads may differ for products, for weights and for values:
 *
 *     J_a = q_a k_a^T / sqrt(d),    L_b = sum_a J_a P_ab,    W = softmax(L, over s <= t),
 *         U_c = sum_b W_b R_bc,    y = concat_c(U_c v_c) Wo
 *
 * P = logits_proj [key heads, heads], R = weights_proj [heads, value heads]. Mixed weights need not sum to
 * one. */
#include "pair-scores.h"

/* x [B, A, T, S] with heads mixed by P [A, C]: [B, C, T, S]. */
static tensor *across_heads(tensor *x, tensor *mixing)
{
    int64_t heads = x->shape[1], rows = x->shape[2], columns = x->shape[3];
    tensor *flat = tensor_reshape(x, 3, SHAPE(x->shape[0], heads, rows * columns));
    return tensor_reshape(tensor_matmul_tn(mixing, flat), 4,
                          SHAPE(x->shape[0], mixing->shape[1], rows, columns));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), key_heads = option_or(s, "key_heads", heads),
            value_heads = option_or(s, "value_heads", heads);
    int64_t d = head_dim(s);
    tensor *before = parameter(s, "logits_proj", init_linear(), 2, SHAPE(key_heads, heads));
    tensor *after = parameter(s, "weights_proj", init_linear(), 2, SHAPE(heads, value_heads));
    tensor *q = heads_first(linear(s, "q_proj", x, key_heads * d, false), key_heads);
    tensor *k = cache_append(s, "key", linear(s, "k_proj", x, key_heads * d, false), 0);
    tensor *v = cache_append(s, "value", linear(s, "v_proj", x, value_heads * d, false), 0);
    tensor *scores = tensor_scale(tensor_matmul_nt(q, heads_first(k, key_heads)), 1 / sqrt((double)d));
    tensor *weights = score_softmax(across_heads(scores, before), option(s, "causal"));
    tensor *y = weighted_values(across_heads(weights, after), heads_first(v, value_heads));
    return linear(s, "o_proj", y, s->width, false);
}

KERNEL(talking_heads_attention) = {
    .name = "talking-heads-attention",
    .slot = SLOT_MIXER,
    .variant = "talking-heads",
    .summary = "learned maps mix the heads' scores before the softmax and their weights after it",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads of the softmax"),
                       INTEGER_OPTION("key_heads", 0, 0, 1024, "heads of queries and keys; 0: as many"),
                       INTEGER_OPTION("value_heads", 0, 0, 1024, "heads of values; 0: as many"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = causality_by_option,
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
