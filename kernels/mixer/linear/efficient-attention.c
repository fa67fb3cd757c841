/* Efficient attention with local heads (linear-attention-transformer; lucidrains/linear-attention-transformer
 * SelfAttention, after Shen et al. 2018). The first heads attend locally by softmax: window t / w and the one
 * before it. The others have
 *
 *     q' = softmax(q over its channels) / sqrt(d) (or times `scale`: 1 in Shen et al.),  k' = exp(k)
 *     o_t = sum_{j in P_t} (q'_t . k'_j) v_j / max(sum_{j in P_t} q'_t . k'_j, 1e-3)
 *
 * P_t = {j <= t}; with `blindspot` b > 1 only the tokens of earlier buckets of b, j < floor(t / b) b, whose
 * sums are taken once a bucket. Keys are kept relative to their running maximum, so that exp(k) does not
 * overflow. Without `causal` local heads see the next window too, and the others have o_t = sum_j q'_t .
 * softmax(k over the tokens)_j v_j, with no denominator. */
#include "block/kernel.h"
#include <math.h>

static const char *validate(const struct scope *s)
{
    if (validate_heads(s))
        return validate_heads(s);
    return option(s, "local_heads") > option(s, "heads") ? "more local heads than heads" : NULL;
}

/* values / max(weights, 1e-3), both sums relative to exp(maximum). */
static tensor *quotient(tensor *values, tensor *weights, tensor *maximum)
{
    tensor *floor = tensor_exp(tensor_clamp(tensor_affine(maximum, -1, log(1e-3)), -80, 80));
    return tensor_divide(values, tensor_maximum(weights, floor));
}

static tensor *up_to_each_token(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t batch = k->shape[0], length = k->shape[1], heads = k->shape[2];
    tensor *most = tensor_reshape(tensor_max(tensor_stop_gradient(k), 3), 3, SHAPE(batch, length, heads));
    struct running_maximum m = kept_running_maximum(s, most, NULL);
    tensor *column = tensor_reshape(m.maximum, 4, SHAPE(batch, length, heads, 1));
    k = tensor_exp(tensor_subtract(k, column));
    struct linear_sums sums = kept_linear_sums(s, "S", q, k, v, tensor_subtract(m.before, m.maximum));
    return quotient(sums.values, sums.weights, column);
}

/* Sums over whole buckets, seen by the buckets after them. One maximum for the sequence serves as the
 * scale. */
static tensor *up_to_earlier_buckets(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t b = option(s, "blindspot"), batch = k->shape[0], length = k->shape[1], heads = k->shape[2],
            d = k->shape[3], count = (length + b - 1) / b;
    tensor *maximum =
        tensor_stop_gradient(tensor_max(tensor_max(tensor_stop_gradient(k), 3), 1)); /* [B, 1, H, 1] */
    tensor *parts[] = {q, tensor_exp(tensor_subtract(k, maximum)), v};
    for (int i = 0; i < 3; i++) /* [B, H, buckets, b, d] */
        parts[i] = tensor_permute(tensor_reshape(tensor_pad(parts[i], 1, 0, count * b - length, 0), 5,
                                                 SHAPE(batch, count, b, heads, d)),
                                  (const int[]){0, 3, 1, 2, 4});
    tensor *sums = tensor_shift(tensor_cumulative_sum(tensor_matmul_tn(parts[1], parts[2]), 2), 2, 1);
    tensor *z = tensor_shift(tensor_cumulative_sum(tensor_sum(parts[1], 3), 2), 2, 1);
    tensor *weights = tensor_sum(tensor_multiply(parts[0], z), 4);
    tensor *column = tensor_reshape(maximum, 5, SHAPE(batch, heads, 1, 1, 1));
    tensor *o = quotient(tensor_matmul(parts[0], sums), weights, column);
    o = tensor_reshape(tensor_permute(o, (const int[]){0, 2, 3, 1, 4}), 4, SHAPE(batch, count * b, heads, d));
    return tensor_slice(o, 1, 0, length);
}

/* One token, its query, key and value side by side: sums over all tokens so far, [d, d + 1] with the weights
 * beside the values, and what they were when its bucket began. */
static tensor *bucket_step(struct scope *s, tensor *parts)
{
    int64_t batch = parts->shape[0], heads = parts->shape[2], d = parts->shape[3] / 3;
    tensor *q = tensor_slice(parts, 3, 0, d), *k = tensor_slice(parts, 3, d, d),
           *v = tensor_slice(parts, 3, 2 * d, d);
    const int64_t *shape = SHAPE(batch, heads, d, d + 1), *one = SHAPE(batch, heads, 1, 1);
    tensor *sums = state(s, "sums", 0, 4, shape), *maximum = state(s, "maximum", -1e30, 4, one);
    tensor *seen = state(s, "seen", 0, 4, shape), *seen_maximum = state(s, "seen_maximum", -1e30, 4, one);
    if (s->position % option(s, "blindspot") == 0) {
        seen = sums;
        seen_maximum = maximum;
    }
    tensor *ones = tensor_full(s->graph, 1, 4, SHAPE(batch, 1, heads, 1));
    q = tensor_transpose(q, 1, 2);
    k = tensor_transpose(k, 1, 2);
    v = tensor_transpose(tensor_concat(2, (tensor *[]){v, ones}, 3), 1, 2);
    tensor *larger = tensor_maximum(maximum, tensor_max(k, 3));
    sums = tensor_multiply(sums, tensor_exp(tensor_subtract(maximum, larger)));
    sums = tensor_add(sums, tensor_matmul_tn(tensor_exp(tensor_subtract(k, larger)), v));
    state_set(s, "sums", sums);
    state_set(s, "maximum", larger);
    state_set(s, "seen", seen);
    state_set(s, "seen_maximum", seen_maximum);
    tensor *o = tensor_matmul(q, seen);
    return tensor_transpose(quotient(tensor_slice(o, 3, 0, d), tensor_slice(o, 3, d, 1), seen_maximum), 1, 2);
}

static tensor *bucket_steps(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    return step_by_token(s, tensor_concat(3, (tensor *[]){q, k, v}, 3), bucket_step);
}

/* The sums of the heads that are not local. */
static tensor *distant_heads(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    if (!option(s, "causal"))
        return whole_linear_product(q, tensor_softmax(k, 1), v);
    if (option(s, "blindspot") == 1)
        return up_to_each_token(s, q, k, v);
    return s->state ? bucket_steps(s, q, k, v) : up_to_earlier_buckets(s, q, k, v);
}

static tensor *local(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t w = option(s, "window");
    k = cache_append(s, "key", k, 2 * w - 1);
    v = cache_append(s, "value", v, 2 * w - 1);
    int64_t offset = k->shape[1] - q->shape[1];
    bool causal = option(s, "causal");
    struct attention_options options = {.causal = causal,
                                        .offset = offset,
                                        .block = w,
                                        .look_backward = 1,
                                        .look_forward = !causal,
                                        .start = s->position - offset};
    return tensor_attention(q, k, v, &options);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), near = option(s, "local_heads"), far = heads - near, d = head_dim(s);
    static const char *const names[] = {"to_q", "to_k", "to_v"};
    tensor *parts[3], *close[3], *distant[3], *outputs[2];
    for (int i = 0; i < 3; i++) {
        parts[i] = split_heads(linear(s, names[i], x, heads * d, option(s, "bias")), heads);
        close[i] = tensor_slice(parts[i], 2, 0, near);
        distant[i] = tensor_slice(parts[i], 2, near, far);
    }
    int count = 0;
    if (near)
        outputs[count++] = local(s, close[0], close[1], close[2]);
    if (far) {
        double scale = option_real(s, "scale") > 0 ? option_real(s, "scale") : 1 / sqrt((double)d);
        tensor *q = tensor_scale(tensor_softmax(distant[0], 3), scale);
        outputs[count++] = distant_heads(s, q, distant[1], distant[2]);
    }
    return linear(s, "to_out", merge_heads(tensor_concat(count, outputs, 2)), s->width, true);
}

KERNEL(efficient_attention) = {
    .name = "efficient-attention",
    .slot = SLOT_MIXER,
    .variant = "linear-attention-transformer",
    .summary = "linear attention with softmax queries and exponential keys, beside heads of local attention",
    .options = OPTIONS(
        INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
        INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
        INTEGER_OPTION("local_heads", 0, 0, 1024, "heads that attend locally instead"),
        INTEGER_OPTION("window", 128, 1, 1 << 24, "positions of a local window; two are seen"),
        INTEGER_OPTION("blindspot", 1, 1, 1 << 20, "tokens of a bucket whose own tokens are not seen"),
        REAL_OPTION("scale", 0, 0, 1e6, "of queries that are not local; 0: 1 / sqrt(head_dim)"),
        FLAG_OPTION("bias", 0, "the projections to q, k and v have biases"),
        FLAG_OPTION("causal", 1, "later tokens are not seen")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "sum"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "none"}, {"feature-map", "softmax"}, {"output-gate", "no"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .character = causality_by_option,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
