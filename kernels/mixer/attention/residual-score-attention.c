/* RealFormer's attention (realformer; jaketae/realformer ResidualMultiHeadAttention): softmax attention whose
 * scores, head by head, have those of the layer below added,
 *
 *     S = q k^T / sqrt(d) + S_below,   y = concat_h( softmax(S_h, over s <= t) v_h ) Wo + bo
 *
 * without a mask, as they are passed on. Keys, queries and values are consecutive slices of one projection,
 * in this order. The block's position kernel may turn queries and keys. */
#include "pair-scores.h"
#include <math.h>

/* Scores of the layer below over the same tokens, or NULL. */
static tensor *scores_below(struct scope *s, int64_t heads)
{
    tensor *below = s->layer > 0 ? layer_find(s, s->layer - 1, "attention scores") : NULL;
    if (below && below->shape[1] != heads)
        kernel_fail(s, "the layer below has %lld heads, not %lld", (long long)below->shape[1],
                    (long long)heads);
    return below;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), width = s->width;
    if (s->position_scope && s->position_scope->kernel->bias)
        kernel_fail(s, "its scores take no bias from the position kernel '%s'",
                    s->position_scope->kernel->name);
    tensor *kqv = linear(s, "kqv_proj", x, 3 * width, option(s, "bias")), *parts[3];
    for (int i = 0; i < 3; i++)
        parts[i] = split_heads(tensor_slice(kqv, 2, i * width, width), heads);
    rotate_query_and_key(s, &parts[1], &parts[0]);
    tensor *k = cache_append(s, "key", parts[0], 0), *v = cache_append(s, "value", parts[2], 0);
    tensor *scores = tensor_matmul_nt(tensor_transpose(parts[1], 1, 2), tensor_transpose(k, 1, 2));
    scores = tensor_scale(scores, 1 / sqrt((double)(width / heads)));
    tensor *below = scores_below(s, heads);
    if (below)
        scores = tensor_add(scores, below);
    layer_leave(s, "attention scores", scores);
    tensor *y = weighted_values(score_softmax(scores, option(s, "causal")), tensor_transpose(v, 1, 2));
    return linear(s, "out_proj", y, width, option(s, "bias"));
}

static tensor *step(struct scope *s, tensor *x)
{
    return option(s, "causal") ? forward(s, x) : replay_step(s, x);
}

KERNEL(residual_score_attention) = {
    .name = "residual-score-attention",
    .slot = SLOT_MIXER,
    .variant = "realformer",
    .summary = "softmax attention whose scores accumulate over the layers",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen"),
                       FLAG_OPTION("bias", 1, "linear maps have biases")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = causality_by_option,
    .validate = validate_heads,
    .forward = forward,
    .step = step,
};
