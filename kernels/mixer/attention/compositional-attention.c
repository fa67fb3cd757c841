/* Compositional attention (compositional-attention, section 3; lucidrains/compositional-attention-pytorch). A
 * head's pair of search (whom to look at) and retrieval (what to take) is untied: each of S searches is met
 * by all of R retrievals, and each token chooses among them:
 *
 *     r_srt = sum_j softmax(q_s k_s^T / sqrt(d))_tj v_rj,
 *         w_str = softmax over r of (p_st . r_srt Wk / sqrt(d)),
 *     y = concat over s of (sum_r w_str r_srt) Wo
 *
 * A search goes over the values of all retrievals at once, so its weights are computed once. */
#include "block/kernel.h"
#include <math.h>

/* retrieved [B, T, S, R, d] -> [B, T, S, d]. */
static tensor *choose(struct scope *s, tensor *x, tensor *retrieved)
{
    int64_t batch = x->shape[0], length = x->shape[1], searches = option(s, "searches"),
            d = retrieved->shape[4];
    tensor *p = linear(s, "to_retrieval_queries", x, searches * d, false);
    p = tensor_reshape(p, 5, SHAPE(batch, length, searches, 1, d));
    tensor *keys = linear(s, "to_retrieval_keys", retrieved, d, false);
    tensor *weights = tensor_softmax(tensor_scale(tensor_matmul_nt(p, keys), 1 / sqrt((double)d)), 4);
    return tensor_reshape(tensor_matmul(weights, retrieved), 4, SHAPE(batch, length, searches, d));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t searches = option(s, "searches"), retrievals = option(s, "retrievals");
    int64_t d = option_or(s, "head_dim", s->width / searches);
    if (option(s, "pre_norm"))
        x = layer_norm(s, "norm", x, 1e-5);
    tensor *q = split_heads(linear(s, "to_searches_queries", x, searches * d, false), searches);
    tensor *k = split_heads(linear(s, "to_searches_keys", x, searches * d, false), searches);
    tensor *v = linear(s, "to_retrieval_values", x, retrievals * d, false);
    rotate_query_and_key(s, &q, &k);
    k = cache_append(s, "key", k, 0);
    v = repeat_heads(split_heads(cache_append(s, "value", v, 0), 1), searches);
    struct attention_options options = {.causal = option(s, "causal"), .offset = k->shape[1] - q->shape[1]};
    tensor *retrieved = tensor_reshape(tensor_attention(q, k, v, &options), 5,
                                       SHAPE(x->shape[0], x->shape[1], searches, retrievals, d));
    return linear(s, "to_out", merge_heads(choose(s, x, retrieved)), s->width, false);
}

static const char *validate(const struct scope *s)
{
    return option(s, "head_dim") == 0 && s->width % option(s, "searches")
               ? "the width is not divisible by searches: set head_dim"
               : NULL;
}

KERNEL(compositional_attention) = {
    .name = "compositional-attention",
    .slot = SLOT_MIXER,
    .variant = "compositional-attention",
    .summary = "every search of attention meets every retrieval, and tokens choose among these",
    .options = OPTIONS(INTEGER_OPTION("searches", 8, 1, 1024, "attentions, as heads"),
                       INTEGER_OPTION("retrievals", 2, 1, 1024, "projections to values that they share"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of each; 0: width / searches"),
                       FLAG_OPTION("pre_norm", 0, "a layer norm comes first"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = causality_by_option,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
