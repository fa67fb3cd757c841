/* Attention with a mixture of Gaussian keys (mixture-gaussian-keys; minhtannguyen/transformer-mgk MGKAttn).
 * Every position has two keys per head, centres of Gaussians of which the second is three times narrower:
 *
 *     D_0 = -c/2 |q - k_0|^2,   D_1 = -3c/2 |q - k_1|^2,   c = 1 / sqrt(d)
 *     hard:       softmax over s <= t of max(D_0, D_1)
 *     soft, free: a = p_0 exp(D_0) + p_1 exp(D_1), weights a / (sum of a + 1e-6)
 *
 * The keys are projections of their own (kv_net gives k_0, k_1, v) or, tied, k - mu_0 and k - mu_1. p depends
 * on head and position of the key: p_1 = 1 - p_0 (soft, `pi`, which expectation maximisation sets in training
 * and is no parameter) or both are learned (free, pi0 and pi1 cut to [0, 1]). A Gaussian's exponentials are
 * those of scaled products with a bias of the key and a factor of the query, so soft attention is two
 * ordinary ones whose log sums meet; the 1e-6 is a third that has no values. As published, a block whose norm
 * comes first makes its queries of what was there before it (raw_queries). */
#include "pair-scores.h"

/* log p [H, 1, S] of the keys, kept away from log 0. */
static tensor *log_shares(struct scope *s, const char *name, bool rest, int64_t keys)
{
    int64_t heads = option(s, "heads"), length = option(s, "length");
    const int64_t *shape = SHAPE(heads, 1, 1, length);
    bool soft = option_is(s, "shares", "soft");
    if (keys > length)
        kernel_fail(s, "%lld keys are more than the %lld that have shares (option length)", (long long)keys,
                    (long long)length);
    tensor *p = soft ? buffer(s, "pi", init_constant(0.5), 4, shape)
                     : parameter(s, name, init_constant(0.5), 4, shape);
    p = tensor_slice(rest ? tensor_affine(p, -1, 1) : p, 3, 0, keys);
    return tensor_reshape(tensor_log(tensor_clamp(p, 1e-30, 1)), 3, SHAPE(heads, 1, keys));
}

/* One Gaussian: its average of values, and the log of its sum of exponentials [B, T, H, 1]. */
static tensor *one_gaussian(tensor *q, tensor *k, tensor *v, double precision, tensor *log_share,
                            struct attention_options options, tensor **log_sum)
{
    options.scale = precision;
    options.bias = tensor_permute(squared_length(k, -precision / 2), (const int[]){0, 2, 3, 1});
    options.bias = tensor_add(options.bias, log_share);
    options.log_sum = log_sum;
    tensor *y = tensor_attention(q, k, v, &options);
    int64_t shape[] = {q->shape[0], q->shape[1], q->shape[2], 1};
    *log_sum = tensor_reshape(tensor_transpose(*log_sum, 1, 2), 4, shape);
    *log_sum = tensor_subtract(*log_sum, squared_length(q, precision / 2));
    return y;
}

static tensor *soft(struct scope *s, tensor *q, tensor *const *k, tensor *v, double precision)
{
    int64_t keys = v->shape[1];
    struct attention_options options = {.causal = option(s, "causal"), .offset = keys - q->shape[1]};
    tensor *sums[3], *parts[2];
    bool tied = option_is(s, "shares", "soft");
    for (int i = 0; i < 2; i++)
        parts[i] = one_gaussian(q, k[i], v, i ? 3 * precision : precision,
                                log_shares(s, i ? "pi1" : "pi0", tied && i, keys), options, &sums[i]);
    sums[2] = tensor_full(s->graph, log(1e-6), 4, sums[0]->shape);
    tensor *shares = tensor_softmax(tensor_concat(3, sums, 3), 3);
    return tensor_add(tensor_multiply(parts[0], tensor_slice(shares, 3, 0, 1)),
                      tensor_multiply(parts[1], tensor_slice(shares, 3, 1, 1)));
}

static tensor *hard(struct scope *s, tensor *q, tensor *const *k, tensor *v, double precision)
{
    tensor *scores[2];
    for (int i = 0; i < 2; i++)
        scores[i] = tensor_scale(squared_distances(tensor_transpose(q, 1, 2), tensor_transpose(k[i], 1, 2)),
                                 -(i ? 3 : 1) * precision / 2);
    tensor *weights = score_softmax(tensor_maximum(scores[0], scores[1]), option(s, "causal"));
    return tensor_transpose(tensor_matmul(weights, tensor_transpose(v, 1, 2)), 1, 2);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = head_dim(s), inner = heads * d, two = option(s, "two_keys");
    tensor *raw = option(s, "raw_queries") && s->layer_input ? s->layer_input : x, *k[2];
    tensor *q = split_heads(linear(s, "q_net", raw, inner, false), heads);
    tensor *kv = cache_append(s, "keys and value", linear(s, "kv_net", x, (2 + two) * inner, false), 0);
    tensor *mu = two ? NULL : parameter(s, "mu", init_normal(0.5), 3, SHAPE(2, heads, d));
    for (int i = 0; i < 2; i++) {
        k[i] = split_heads(tensor_slice(kv, 2, two * i * inner, inner), heads);
        if (mu)
            k[i] = tensor_subtract(k[i], tensor_slice(mu, 0, i, 1));
    }
    tensor *v = split_heads(tensor_slice(kv, 2, (1 + two) * inner, inner), heads);
    tensor *y = (option_is(s, "shares", "hard") ? hard : soft)(s, q, k, v, 1 / sqrt((double)d));
    return linear(s, "o_net", merge_heads(y), s->width, false);
}

KERNEL(gaussian_mixture_key_attention) = {
    .name = "gaussian-mixture-key-attention",
    .slot = SLOT_MIXER,
    .variant = "mixture-gaussian-keys",
    .summary = "weights are posteriors of a mixture of two Gaussians around the keys of each position",
    .options =
        OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                CHOICE_OPTION("shares", "free|soft|hard",
                              "of the Gaussians: learned each, summing to one, or the nearer takes all"),
                FLAG_OPTION("two_keys", 1, "keys are two projections, not one with two offsets"),
                INTEGER_OPTION("length", 256, 1, 1 << 24, "positions that have shares"),
                FLAG_OPTION("raw_queries", 0, "queries are made of the layer's input before its norm"),
                FLAG_OPTION("causal", 1, "later tokens are not seen")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "sum"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = causality_by_option,
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
