/* Sparse Flash Attention (sparse-flash-attention, section 3; epfml/dynamic-sparse-flash-attention,
 * hashformer.py and dropformer.py): attention between pairs that any choice by head and token leaves,
 * computed by tiles of these alone. Queries serve as keys:
 *
 *     q, v = x c_attn,   k = q / |q|,   y_t = c_proj concat_h( sum_s softmax_s(q_t . k_s / sqrt(d)) v_s )
 *     hash   over earlier s of t's bucket, argmax (p, -p) with p = q_t R_h,
 *         columns of R_h [d, buckets / 2] of unit length
 *     drop   over earlier s and t itself, queries and keys being dropped with probability `sparsity`,
 *         each by itself
 *
 * A row that sees nothing, such as the first of a bucket, is zero. The published code draws R = rand_matrix
 * and what is dropped anew at every call; here R is a buffer and the draws depend on layer, head and
 * place. */
#include "block/kernel.h"
#include "mixed-bits.h"

/* Bucket 0 where the token at that place is kept, else -1: [1, H, count] from place `start` on. */
static tensor *draw_kept(struct scope *s, int64_t start, int64_t count, bool is_key)
{
    int64_t heads = option(s, "heads");
    double sparsity = option_real(s, "sparsity");
    tensor *kept = tensor_constant(s->graph, NULL, 3, SHAPE(1, heads, count));
    for (int64_t h = 0; h < heads; h++) {
        uint64_t seed = mixed_bits(2 * (uint64_t)(s->layer * heads + h) + is_key + 1);
        for (int64_t i = 0; i < count; i++) {
            uint64_t bits = mixed_bits(seed + 0x9e3779b97f4a7c15u * (uint64_t)(start + i + 1));
            kept->data[h * count + i] = (double)(bits >> 11) * 0x1p-53 > sparsity ? 0 : -1;
        }
    }
    return kept;
}

/* The bucket of each token and head of q [B, T, H, d]: [B, T, H]. */
static tensor *hash(struct scope *s, tensor *q)
{
    bool own = option(s, "hashes_per_head");
    int64_t heads = own ? q->shape[2] : 1, d = q->shape[3], pairs = option(s, "buckets") / 2;
    tensor *r = buffer(s, "rand_matrix", init_normal(1), 3, SHAPE(heads, d, pairs));
    r = tensor_multiply(r, tensor_reciprocal_sqrt(tensor_sum(tensor_square(r), 1)));
    q = tensor_stop_gradient(q);
    tensor *p = own ? per_head_product(q, r, false) : tensor_matmul(q, tensor_reshape(r, 2, SHAPE(d, pairs)));
    tensor *bucket = tensor_argmax(tensor_concat(2, (tensor *[]){p, tensor_negate(p)}, 3), 3);
    return tensor_reshape(bucket, 3, SHAPE(q->shape[0], q->shape[1], q->shape[2]));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), length = x->shape[1];
    bool bias = option(s, "bias"), hashes = option_is(s, "form", "hash");
    tensor *qv = linear(s, "c_attn", x, 2 * s->width, bias);
    tensor *q = split_heads(tensor_slice(qv, 2, 0, s->width), heads);
    tensor *k = cache_append(s, "key", tensor_l2_norm_max(q, 1e-12), 0);
    tensor *v = cache_append(s, "value", split_heads(tensor_slice(qv, 2, s->width, s->width), heads), 0);
    int64_t earlier = k->shape[1] - length;
    struct bucket_attention_options options = {.buckets = 1, .causal = true, .offset = earlier};
    tensor *of_query, *of_key;
    if (hashes) {
        options.buckets = option(s, "buckets");
        options.offset--;
        of_query = hash(s, q);
        of_key = tensor_transpose(cache_append(s, "bucket", of_query, 0), 1, 2);
        of_query = tensor_transpose(of_query, 1, 2);
    } else {
        of_query = draw_kept(s, s->position, length, false);
        of_key = draw_kept(s, s->position - earlier, earlier + length, true);
    }
    tensor *y = tensor_bucket_attention(q, k, v, of_query, of_key, &options);
    return linear(s, "c_proj", merge_heads(y), s->width, bias);
}

static const char *character(const struct scope *s, const char *name)
{
    return name[0] == 'v' && option_is(s, "form", "drop") ? "landmark" : NULL;
}

static const char *validate(const struct scope *s)
{
    if (option(s, "buckets") % 2)
        return "each random direction makes two buckets: they have to be even";
    return validate_heads(s);
}

KERNEL(hash_sparse_attention) = {
    .name = "hash-sparse-attention",
    .slot = SLOT_MIXER,
    .variant = "sparse-flash-attention",
    .summary = "exact attention among the tokens of a hash bucket, or among those that are not dropped",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       CHOICE_OPTION("form", "hash|drop", "which pairs are left"),
                       INTEGER_OPTION("buckets", 16, 2, 1 << 16, "of the hash"),
                       FLAG_OPTION("hashes_per_head", 1, "heads hash by directions of their own"),
                       REAL_OPTION("sparsity", 0.5, 0, 1, "share of queries, and of keys, that is dropped"),
                       FLAG_OPTION("bias", 0, "projections have biases")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "content"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
