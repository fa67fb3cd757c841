/* TRAMS (trams, section 2.4; lwaekfjlk/TRAMS utils/modeling_transfo_xl.py): attention to a memory of which
 * each head keeps the rows that any query is likely to score high, judged by the key alone. With the head's
 * query projection Q_h [d, D]
 *
 *     u_j = Q_h^T k_j,   score_j = |u_j| |sum of u_j's entries|
 *
 * The pool is the memory but for its newest `recent` rows; of it every head keeps the `top_k` rows of the
 * largest scores, in their order. Keys are those, the newest rows and the segment; positions are counted in
 * this shorter list. The choice has no gradient. */
#include "block/kernel.h"

/* Numbers of the rows to keep of a pool of keys [B, N, H, d], ascending: [B, count, H, 1]. */
static tensor *choose(tensor *keys, tensor *query_weight, int64_t count)
{
    int64_t heads = keys->shape[2], d = keys->shape[3];
    tensor *u = per_head_product(keys, tensor_reshape(query_weight, 3, SHAPE(heads, d, -1)), false), *rows;
    tensor *scores =
        tensor_multiply(tensor_sqrt(tensor_sum(tensor_square(u), 3)), tensor_absolute(tensor_sum(u, 3)));
    scores = tensor_permute(tensor_stop_gradient(scores), (const int[]){0, 2, 3, 1}); /* [B, H, 1, N] */
    tensor_top_k(scores, count, &rows);
    return tensor_permute(tensor_sort(rows, false, NULL), (const int[]){0, 3, 1, 2});
}

static tensor *thinned(tensor *x, tensor *rows, int64_t pool)
{
    tensor *parts[] = {tensor_gather(tensor_slice(x, 1, 0, pool), 1, rows),
                       tensor_slice(x, 1, pool, x->shape[1] - pool)};
    return tensor_concat(2, parts, 1);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), inner = heads * head_dim(s), top_k = option(s, "top_k");
    int64_t pool = (s->memory ? s->memory->shape[1] : 0) - option(s, "recent");
    tensor *weight = parameter(s, "qkv_net.weight", init_linear(), 2, SHAPE(3 * inner, s->width));
    tensor *all = s->memory ? tensor_concat(2, (tensor *[]){s->memory, x}, 1) : x;
    tensor *q = split_heads(tensor_linear(x, tensor_slice(weight, 0, 0, inner), NULL), heads);
    tensor *k = split_heads(tensor_linear(all, tensor_slice(weight, 0, inner, inner), NULL), heads);
    tensor *v = split_heads(tensor_linear(all, tensor_slice(weight, 0, 2 * inner, inner), NULL), heads);
    if (pool > top_k) {
        tensor *rows = choose(tensor_slice(k, 1, 0, pool), tensor_slice(weight, 0, 0, inner), top_k);
        k = thinned(k, rows, pool);
        v = thinned(v, rows, pool);
    }
    struct attention_options options = {.causal = true};
    return linear(s, "o_net", merge_heads(positioned_attention(s, q, k, v, options)), s->width, false);
}

KERNEL(key_norm_memory_selection) = {
    .name = "key-norm-memory-selection",
    .slot = SLOT_PROCEDURE,
    .variant = "trams",
    .summary = "attention to those rows of a memory whose keys any query is likely to score high",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       INTEGER_OPTION("top_k", 8, 1, 1 << 24, "rows of the pool that each head keeps"),
                       INTEGER_OPTION("recent", 4, 0, 1 << 24,
                                      "newest rows of the memory, kept in any case")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "content"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
