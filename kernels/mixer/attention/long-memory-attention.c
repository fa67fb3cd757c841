/* Attention to learned rows, a long and a short memory and the segment (memory-transformer-xl;
 * lucidrains/memory-transformer-xl SelfAttention), under the memory attention-written-memory:
 *
 *     c = [mem_kv ; G ; S ; x],  q = x Wq,  (k | v) = c Wkv
 *     y = softmax( (q_i . k_j + q_i . P[P_end - (distance of i and j)]) / sqrt(d) ) v Wo + b
 *         x is normalised, G and S are not
 *
 * P = pos_emb [H, segment + memory + long_memory, d], one for all layers; its last row is distance 0. Keys
 * count their distances through c. The first rows of c, more than memory + long_memory before the segment,
 * have no such term. Alone there is a cache in place of memories. */
#include "block/kernel.h"
#include <math.h>

/* q . P by key, [B, H, T, n], without the term for the first `bare` keys. */
static tensor *position_scores(struct scope *s, tensor *q, int64_t n, int64_t bare)
{
    int64_t heads = q->shape[2], d = q->shape[3];
    int64_t rows = option(s, "segment") + option(s, "memory") + option(s, "long_memory");
    tensor *table = shared_parameter(s, "pos_emb", init_constant(0), 3, SHAPE(heads, rows, d));
    table = n <= rows ? tensor_slice(table, 1, rows - n, n) : tensor_pad(table, 1, n - rows, 0, 0);
    tensor *scores = tensor_matmul_nt(tensor_transpose(q, 1, 2), table); /* by distance n - 1 .. 0 */
    scores = relative_shift(tensor_scale(scores, 1 / sqrt((double)d)));
    return bare > 0 ? tensor_pad(tensor_slice(scores, 3, bare, n - bare), 3, bare, 0, 0) : scores;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), groups = key_value_heads(s), d = s->width / heads;
    int64_t batch = x->shape[0], length = x->shape[1], rows = option(s, "key_rows");
    double bound = 1 / sqrt((double)s->width);
    tensor *memory = s->carried ? layer_find(s, 0, part_name(s, "memory of %d", s->layer)) : NULL;
    tensor *front = memory; /* of the cached rows */
    if (rows) {
        tensor *own = parameter(s, "mem_kv", init_uniform(-bound, bound), 3, SHAPE(1, rows, s->width));
        own = tensor_broadcast(own, 3, SHAPE(batch, rows, s->width));
        front = memory ? newest_rows(own, memory, INT64_MAX) : own;
    }
    tensor *q = split_heads(linear(s, "to_q", x, s->width, false), heads);
    tensor *kv = cache_append(s, "keys and values", linear(s, "to_kv", x, 2 * groups * d, false), 0);
    if (front)
        kv = newest_rows(linear(s, "to_kv", front, 2 * groups * d, false), kv, INT64_MAX);
    kv = split_heads(kv, 2 * groups);
    tensor *k = tensor_slice(kv, 2, 0, groups), *v = tensor_slice(kv, 2, groups, groups);
    int64_t n = kv->shape[1], earlier = n - length;
    int64_t bare = s->carried ? earlier - option(s, "memory") - option(s, "long_memory") : 0;
    struct attention_options options = {
        .causal = true, .offset = earlier, .bias = position_scores(s, q, n, bare)};
    return linear(s, "to_out", merge_heads(tensor_attention(q, k, v, &options)), s->width, true);
}

KERNEL(long_memory_attention) = {
    .name = "long-memory-attention",
    .slot = SLOT_MIXER,
    .variant = "memory-transformer-xl",
    .summary = "attention to learned rows, a long and a short memory and the segment, by trained distances",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "query heads"),
                       INTEGER_OPTION("kv_heads", 0, 0, 1024, "key-value heads; 0: as many as heads"),
                       INTEGER_OPTION("key_rows", 4, 0, 1 << 20, "trained rows that every token sees"),
                       INTEGER_OPTION("segment", 64, 1, 1 << 20,
                                      "tokens of a segment: sizes the table of distances"),
                       INTEGER_OPTION("memory", 64, 0, 1 << 20, "rows of the short memory, likewise"),
                       INTEGER_OPTION("long_memory", 32, 0, 1 << 20, "rows of the long memory, likewise")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"position", "relative"}, {"state", "cache"},
                             {"time", "quadratic"}, {"decode-cost", "linear"}, {"causality", "causal"}),
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
