/* Value-aware approximation of attention (value-aware): what a sparse attention should come near is the
 * output o_t itself, not its weights,
 *
 *     y_t = argmin |o_t - y|^2 over the mixtures y of at most r of the values that t sees,
 *         o = softmax(q k^T / sqrt(d)) v
 *
 * (mixtures have weights that are not negative and sum to 1). It is a bound for what keeping r keys can do,
 * top-k-attention being the choice that knows no values; it needs all scores. With r = 1 y is the value
 * nearest to o, with r > d it is o itself, by Caratheodory's theorem. Between these the paper has the optimum
 * but no way to it; here values are added greedily (Frank and Wolfe's method): the one farthest in the
 * direction of what is missing, by the share that then comes nearest to o. Options: keep = r. Queries are
 * taken `chunk` at a time. */
#include "../attention/query-blocks.h"
#include "selection.h"

struct approximation {
    tensor *o, *v; /* [B, H, T, d], [B, H, S, d] */
    int64_t keep, offset;
    bool causal;
};

/* For rows x [B, H, n, d] the value whose product with x less `penalty` [B, H, 1, S] is largest, of those
 * that are seen. */
static tensor *largest(tensor *x, tensor *v, tensor *penalty, tensor *seen)
{
    tensor *scores = tensor_matmul_nt(tensor_stop_gradient(x), tensor_stop_gradient(v));
    if (penalty)
        scores = tensor_subtract(scores, penalty);
    if (seen)
        scores = tensor_where(seen, scores, tensor_scalar(x->graph, -INFINITY));
    return tensor_gather(v, 2, tensor_argmax(scores, 3));
}

static tensor *dot(tensor *a, tensor *b)
{
    return tensor_sum(tensor_multiply(a, b), 3);
}

/* [B, n, H, d] of queries `start` on. */
static tensor *approximate(void *argument, int64_t start, int64_t rows)
{
    const struct approximation *a = argument;
    int64_t count = a->v->shape[2], last = start + rows + a->offset;
    tensor *o = tensor_slice(a->o, 2, start, rows), *v = a->v, *seen = NULL;
    if (a->causal && last < count)
        v = tensor_slice(v, 2, 0, last);
    if (a->causal)
        seen = lower_triangle(o->graph, rows, v->shape[2], start + a->offset);
    tensor *half_square = tensor_transpose(tensor_scale(dot(v, v), 0.5), 2, 3);
    tensor *y = largest(o, v, tensor_stop_gradient(half_square), seen);
    for (int64_t i = 1; i < a->keep; i++) {
        tensor *missing = tensor_subtract(o, y);
        tensor *way = tensor_subtract(largest(missing, v, NULL, seen), y);
        tensor *length = tensor_maximum(dot(way, way), tensor_scalar(o->graph, 1e-12));
        tensor *share = tensor_clamp(tensor_divide(dot(missing, way), length), 0, 1);
        y = tensor_add(y, tensor_multiply(share, way));
    }
    return tensor_transpose(y, 1, 2);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), keep = option(s, "keep");
    bool bias = option(s, "bias"), causal = option(s, "causal");
    tensor *q = split_heads(linear(s, "q_proj", x, s->width, bias), heads);
    tensor *k = split_heads(linear(s, "k_proj", x, s->width, bias), heads);
    tensor *v = split_heads(linear(s, "v_proj", x, s->width, bias), heads);
    rotate_query_and_key(s, &q, &k);
    k = cache_append(s, "key", k, 0);
    v = cache_append(s, "value", v, 0);
    struct attention_options options = {.causal = causal, .offset = k->shape[1] - q->shape[1]};
    tensor *y = tensor_attention(q, k, v, &options);
    if (keep && keep <= head_dim(s)) {
        struct approximation a = {tensor_transpose(y, 1, 2), tensor_transpose(v, 1, 2), keep, options.offset,
                                  causal};
        y = join_query_blocks(approximate, &a, 0, x->shape[1], option(s, "chunk"));
    }
    return linear(s, "out_proj", merge_heads(y), s->width, bias);
}

KERNEL(value_aware_attention) = {
    .name = "value-aware-attention",
    .slot = SLOT_MIXER,
    .variant = "value-aware",
    .summary = "the mixture of a few values that comes near to what attention over all gives",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("keep", 4, 0, 1 << 16,
                                      "values mixed, r; 0 or more than head_dim: attention itself"),
                       INTEGER_OPTION("chunk", 128, 1, 1 << 24, "queries whose scores are computed at once"),
                       FLAG_OPTION("bias", 0, "projections have biases"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "content"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = causality_by_option,
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
