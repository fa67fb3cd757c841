/* Sparse Sinkhorn attention, causal (sinkhorn, section 3; lucidrains/sinkhorn-transformer
 * SinkhornSelfAttention): buckets of b tokens each see themselves and the K earlier buckets that a sorting
 * network picks for them, scaled by their probability.
 *
 *     R_uw = a_u . c_w / sqrt(d)
 *         a_u: mean of the queries up to u's first; c_w: sum over w of the running means of keys
 *     pick m of u: w = argmax p with p = softmax over earlier w not picked before (R_u / temperature);
 *         its keys and values times p_w
 *     y_i = softmax over the picked buckets and s <= i of u (q_i . k_s / sqrt(d)) v_s
 *
 * K null buckets, copies of a learned key and value, can be picked too. simple_sort_net has R_u = leaky(W
 * (mean of keys, key) of u's first token) instead, for so many buckets as `length` has. The second half of
 * these heads works b - 1 tokens later, around the end, so that bounds of buckets lie between others'; there
 * the last bucket's first row is the last token, and the others are the first tokens, which see just their
 * own among them. The first local_heads heads attend to their own and the preceding bucket instead. A last
 * bucket that is not full is filled with zeros, which nobody sees. The paper's Sinkhorn normalisation is left
 * out in this causal form, as published. */
#include "block/kernel.h"
#include <math.h>
#include <string.h>

/* x [B, h, T, d] in buckets, [B, h, n, b, d]. */
static tensor *buckets(tensor *x, int64_t b)
{
    return tensor_reshape(x, 5, SHAPE(x->shape[0], x->shape[1], x->shape[2] / b, b, x->shape[3]));
}

static tensor *running_mean(struct scope *s, tensor *x)
{
    tensor *count = tensor_reshape(tensor_range(s->graph, 1, x->shape[2], 1), 2, SHAPE(x->shape[2], 1));
    return tensor_divide(tensor_cumulative_sum(x, 2), count);
}

static tensor *firsts(tensor *x, int64_t b)
{
    tensor *first = tensor_slice(buckets(x, b), 3, 0, 1);
    return tensor_reshape(first, 4, SHAPE(x->shape[0], x->shape[1], x->shape[2] / b, x->shape[3]));
}

/* R [B, h, n, K + n] for q, k [B, h, T, d]: null buckets first, -inf for those not yet past. */
static tensor *bucket_scores(struct scope *s, tensor *q, tensor *k, int64_t picks)
{
    int64_t B = q->shape[0], h = q->shape[1], d = q->shape[3], b = option(s, "bucket"), n = q->shape[2] / b;
    tensor *means = running_mean(s, k), *scores;
    if (option(s, "simple_sort_net")) {
        int64_t all = option(s, "length") / b + option(s, "top");
        tensor *w =
            parameter(s, "sinkhorn_attention.sort_net.linear", init_normal(1), 4, SHAPE(1, h, 2 * d, all));
        if (n + picks > all)
            kernel_fail(s, "the sorting network has weights for %lld tokens: set length for more",
                        (long long)option(s, "length"));
        tensor *z = tensor_concat(2, (tensor *[]){firsts(means, b), firsts(k, b)}, 3);
        scores = tensor_leaky_relu(tensor_matmul(z, tensor_slice(w, 3, 0, n + picks)), 0.01);
    } else {
        tensor *sums = tensor_reshape(tensor_sum(buckets(means, b), 3), 4, SHAPE(B, h, n, d));
        scores = tensor_matmul_nt(firsts(running_mean(s, q), b), tensor_pad(sums, 2, picks, 0, 0));
        scores = tensor_scale(scores, 1 / sqrt((double)d));
    }
    return tensor_where(lower_triangle(s->graph, n, n + picks, picks - 1), scores,
                        tensor_scalar(s->graph, -INFINITY));
}

/* Whether a row sees a key, for each head: [h, n, b, (K + 1) b]; the own bucket's keys come last. */
static tensor *visible(struct scope *s, int64_t h, int64_t n, int64_t picks)
{
    int64_t b = option(s, "bucket"), keys = (picks + 1) * b;
    tensor *mask = tensor_constant(s->graph, NULL, 4, SHAPE(h, n, b, keys));
    for (int64_t head = 0; head < h; head++)
        for (int64_t row = 0; row < n * b; row++) {
            bool turned = head >= h / 2 && row / b == n - 1 && row % b > 0; /* around the end */
            real *sees = mask->data + (head * n * b + row) * keys;
            for (int64_t key = turned ? picks * b + 1 : 0; key <= picks * b + row % b; key++)
                sees[key] = 1;
        }
    return mask;
}

/* The buckets x [B, h, n, b, d] behind K null ones of copies of NAME [h, 1, d]. */
static tensor *with_null(struct scope *s, const char *name, tensor *x, int64_t picks)
{
    int64_t h = x->shape[1], d = x->shape[4];
    tensor *null = parameter(s, name, init_normal(1), 3, SHAPE(h, 1, d));
    null = tensor_broadcast(tensor_reshape(null, 4, SHAPE(h, 1, 1, d)), 5,
                            SHAPE(x->shape[0], h, picks, x->shape[3], d));
    return tensor_concat(2, (tensor *[]){null, x}, 2);
}

/* q, k, v [B, h, T, d], T whole buckets, in the order of their head. */
static tensor *attend(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t B = q->shape[0], h = q->shape[1], d = q->shape[3], b = option(s, "bucket"), n = q->shape[2] / b;
    int64_t picks = option(s, "top") < n ? option(s, "top") : n;
    tensor *scores = bucket_scores(s, q, k, picks), *none = tensor_scalar(s->graph, -INFINITY);
    tensor *keys = buckets(k, b), *values = buckets(v, b);
    tensor *all_keys = with_null(s, "sinkhorn_attention.null_keys", keys, picks);
    tensor *all_values = with_null(s, "sinkhorn_attention.null_values", values, picks);
    for (int64_t pick = 0; pick < picks;
         pick++) { /* each comes before those so far: the own bucket stays last */
        tensor *p = tensor_softmax(tensor_scale(scores, 1 / option_real(s, "temperature")), 3);
        tensor *chosen = tensor_argmax(p, 3), *index = tensor_reshape(chosen, 5, SHAPE(B, h, n, 1, 1));
        tensor *share = tensor_reshape(tensor_gather(p, 3, chosen), 5, SHAPE(B, h, n, 1, 1));
        keys = tensor_concat(2, (tensor *[]){tensor_multiply(tensor_gather(all_keys, 2, index), share), keys},
                             3);
        values = tensor_concat(
            2, (tensor *[]){tensor_multiply(tensor_gather(all_values, 2, index), share), values}, 3);
        tensor *taken = tensor_one_hot(tensor_reshape(chosen, 3, SHAPE(B, h, n)), scores->shape[3]);
        scores = tensor_where(taken, none, scores);
    }
    tensor *pairs = tensor_scale(tensor_matmul_nt(buckets(q, b), keys), 1 / sqrt((double)d));
    pairs = tensor_where(visible(s, h, n, picks), pairs, none);
    return tensor_reshape(tensor_matmul(tensor_softmax(pairs, 4), values), 4, q->shape);
}

/* The second half of the heads of x [B, h, T, d] moved by `shift` tokens around the end. */
static tensor *turned(tensor *x, int64_t shift)
{
    int64_t h = x->shape[1], own = h / 2;
    tensor *parts[] = {tensor_slice(x, 1, 0, own), tensor_roll(tensor_slice(x, 1, own, h - own), 2, shift)};
    return tensor_concat(2, parts, 1);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), local = option(s, "local_heads"), b = option(s, "bucket"),
            T = x->shape[1];
    tensor *kv = linear(s, "to_kv", x, 2 * s->width, false), *outputs[2];
    tensor *parts[] = {linear(s, "to_q", x, s->width, false), tensor_slice(kv, 2, 0, s->width),
                       tensor_slice(kv, 2, s->width, s->width)};
    tensor *own[3], *sorted[3];
    int count = 0;
    for (int i = 0; i < 3; i++) {
        tensor *part = split_heads(parts[i], heads);
        own[i] = tensor_slice(part, 2, 0, local);
        part = tensor_slice(part, 2, local, heads - local);
        sorted[i] = local < heads
                        ? turned(tensor_transpose(tensor_pad(part, 1, 0, (b - T % b) % b, 0), 1, 2), 1 - b)
                        : NULL;
    }
    if (local > 0)
        outputs[count++] =
            tensor_attention(own[0], own[1], own[2],
                             &(struct attention_options){.causal = true, .block = b, .look_backward = 1});
    if (local < heads) {
        tensor *y = turned(attend(s, sorted[0], sorted[1], sorted[2]), b - 1);
        outputs[count++] = tensor_slice(tensor_transpose(y, 1, 2), 1, 0, T);
    }
    return linear(s, "to_out", merge_heads(tensor_concat(count, outputs, 2)), s->width, true);
}

/* K is at most the number of buckets, so several picks make first buckets depend on how many follow. */
static const char *character(const struct scope *s, const char *name)
{
    return strcmp(name, "causality") == 0 && option(s, "top") > 1 ? "approximate" : NULL;
}

static const char *validate(const struct scope *s)
{
    return option(s, "local_heads") > option(s, "heads") ? "there are more local_heads than heads"
                                                         : validate_heads(s);
}

KERNEL(sorted_bucket_attention) = {
    .name = "sorted-bucket-attention",
    .slot = SLOT_MIXER,
    .variant = "sinkhorn",
    .summary = "buckets see themselves and the earlier buckets that a sorting network picks for them",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("local_heads", 0, 0, 1024, "of them attend to neighbours instead"),
                       INTEGER_OPTION("bucket", 64, 1, 1 << 20, "tokens of a bucket"),
                       INTEGER_OPTION("top", 2, 1, 1024, "buckets that each bucket picks"),
                       REAL_OPTION("temperature", 0.75, 1e-6, 1e6, "of the picks' probabilities"),
                       FLAG_OPTION("simple_sort_net", 0,
                                   "scores of buckets are a linear map of their first token"),
                       INTEGER_OPTION("length", 2048, 1, 1 << 26, "tokens that such a map has weights for")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "content"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "replay"}, {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
};
