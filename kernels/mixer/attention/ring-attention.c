/* Ring attention (ring-attention, section 3, algorithm 1; lucidrains/ring-attention-pytorch
 * ring_flash_attention). Exact softmax attention over a sequence cut in shards, one for each of `ring`
 * devices. A device keeps its queries; keys and values go round, so that at hop h device r works on those of
 * device r - h, and joins the result to what it has by the log sums of exponentials:
 *
 *     o, l = attention over its own keys (causal),
 *         o', l' = attention over those of device r - h, h = 1, 2, .. (all of them earlier)
 *     o <- o + sigmoid(l' - l) (o' - o),   l <- l + softplus(l' - l)
 *
 * Here the devices are simulated: all that are busy at a hop (r >= h, later keys being hidden) are entries of
 * one batch. The last shard may be shorter. Inside a hop tensor_attention has its own tiles in place of the
 * published bucket_size. A step has one new query, which the cache serves. */
#include "block/kernel.h"

/* x [B, R, S, H, d] of the shards [first, first + count): [B count, S, H, d]. */
static tensor *shards(tensor *x, int64_t first, int64_t count)
{
    x = tensor_slice(x, 1, first, count);
    return tensor_reshape(x, 4, SHAPE(x->shape[0] * count, x->shape[2], x->shape[3], x->shape[4]));
}

/* Results [B, busy, S, H, d] and log sums [B, busy, S, H, 1] of the devices that are busy at a hop. */
static tensor *one_hop(tensor *const *qkv, int64_t hop, tensor **log_sum)
{
    const tensor *q = qkv[0];
    int64_t batch = q->shape[0], busy = q->shape[1] - hop, size = q->shape[2], heads = q->shape[3];
    struct attention_options options = {.causal = hop == 0, .log_sum = log_sum};
    tensor *o = tensor_attention(shards(qkv[0], hop, busy), shards(qkv[1], 0, busy), shards(qkv[2], 0, busy),
                                 &options);
    *log_sum = tensor_reshape(tensor_transpose(*log_sum, 1, 2), 5, SHAPE(batch, busy, size, heads, 1));
    return tensor_reshape(o, 5, SHAPE(batch, busy, size, heads, q->shape[4]));
}

/* The devices that are at rest keep what they have. */
static tensor *renew(tensor *all, tensor *busy, int64_t hop)
{
    return tensor_concat(2, (tensor *[]){tensor_slice(all, 1, 0, hop), busy}, 1);
}

static tensor *go_round(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t length = q->shape[1], batch = q->shape[0], heads = q->shape[2], d = q->shape[3];
    int64_t size = (length + option(s, "ring") - 1) / option(s, "ring"), ring = (length + size - 1) / size;
    tensor *qkv[] = {q, k, v}, *sum;
    for (int i = 0; i < 3; i++) {
        if (ring * size > length)
            qkv[i] = tensor_pad(qkv[i], 1, 0, ring * size - length, 0);
        qkv[i] = tensor_reshape(qkv[i], 5, SHAPE(batch, ring, size, heads, d));
    }
    tensor *o = one_hop(qkv, 0, &sum);
    for (int64_t hop = 1; hop < ring; hop++) {
        tensor *new_sum, *new = one_hop(qkv, hop, &new_sum);
        tensor *old = tensor_slice(o, 1, hop, ring - hop), *old_sum = tensor_slice(sum, 1, hop, ring - hop);
        tensor *ahead = tensor_subtract(new_sum, old_sum);
        o = renew(o, tensor_add(old, tensor_multiply(tensor_sigmoid(ahead), tensor_subtract(new, old))), hop);
        sum = renew(sum, tensor_add(old_sum, tensor_softplus(ahead)), hop);
    }
    return tensor_slice(tensor_reshape(o, 4, SHAPE(batch, ring * size, heads, d)), 1, 0, length);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), inner = heads * head_dim(s);
    tensor *kv = linear(s, "to_kv", x, 2 * inner, false), *y;
    tensor *q = split_heads(linear(s, "to_q", x, inner, false), heads);
    tensor *k = split_heads(tensor_slice(kv, 2, 0, inner), heads);
    tensor *v = split_heads(tensor_slice(kv, 2, inner, inner), heads);
    rotate_query_and_key(s, &q, &k);
    if (s->state) {
        k = cache_append(s, "key", k, 0);
        v = cache_append(s, "value", v, 0);
        struct attention_options options = {.causal = true, .offset = k->shape[1] - q->shape[1]};
        y = tensor_attention(q, k, v, &options);
    } else {
        y = go_round(s, q, k, v);
    }
    return linear(s, "to_out", merge_heads(y), s->width, false);
}

KERNEL(ring_attention) = {
    .name = "ring-attention",
    .slot = SLOT_MIXER,
    .variant = "ring-attention",
    .summary = "exact attention of shards of the sequence whose keys and values go round a ring of devices",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       INTEGER_OPTION("ring", 4, 1, 4096, "devices, each with a shard of the sequence")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
