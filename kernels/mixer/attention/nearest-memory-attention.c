/* Attention to a window of the past and to what a search finds before it (memorizing-transformer, section
 * 3.1; in the form of lucidrains/memorizing-transformers-pytorch KNNAttention: one shared key-value head,
 * cosine scores, one softmax over both).
 *
 * The sequence is cut in segments. A query sees, causally, its segment and the `recent` rows before it; of
 * all rows before those it sees the `top_k` whose keys have the largest product with it, searched exactly and
 * for each head. With q, k of length 1
 *
 *     score = exp(scale_h) q . k  (+ T5's bias of nearby keys)
 *
 * No gradient reaches rows before the segment, and the choice has none. As published the bias takes a key's
 * place from the oldest nearby one, but a query's from its segment. gate_output multiplies the output by
 * tanh(output_gate). */
#include "block/kernel.h"
#include <math.h>

enum { BUCKETS = 32, MAX_DISTANCE = 128 };

/* The bias of nearby keys, [H, T, S], for rows from `row` of the segment on. */
static tensor *nearby_bias(struct scope *s, int64_t row, int64_t rows, int64_t columns, int64_t d)
{
    int64_t heads = option(s, "heads");
    tensor *table =
        parameter(s, "relative_attention_bias.weight", init_normal(0.02), 2, SHAPE(BUCKETS, heads));
    tensor *places = tensor_constant(s->graph, NULL, 2, SHAPE(rows, columns));
    for (int64_t n = 0; n < rows * columns; n++) {
        int64_t distance = row + n / columns - n % columns;
        places->data[n] = (real)distance_bucket(distance > 0 ? distance : 0, BUCKETS, MAX_DISTANCE);
    }
    return tensor_scale(tensor_permute(tensor_rows(table, places), (const int[]){2, 0, 1}), sqrt((double)d));
}

/* Queries q [B, H, n, d] of rows from `first` on, all in the segment that begins at `start`; k and v
 * [B, 1, S, d] of all rows from the sequence's first one on. */
static tensor *attend(struct scope *s, tensor *q, tensor *k, tensor *v, int64_t start, int64_t first)
{
    int64_t B = q->shape[0], H = q->shape[1], n = q->shape[2], d = q->shape[3], top_k = option(s, "top_k");
    int64_t nearest = start - option(s, "recent"), columns = first + n - (nearest > 0 ? nearest : 0);
    nearest = nearest > 0 ? nearest : 0;
    tensor *scale = tensor_exp(parameter(s, "scale", init_constant(log(20)), 3, SHAPE(H, 1, 1)));
    tensor *scores = tensor_multiply(tensor_matmul_nt(q, tensor_slice(k, 2, nearest, columns)), scale);
    if (option(s, "bias"))
        scores = tensor_add(scores, nearby_bias(s, first - start, n, columns, d));
    tensor *seen = lower_triangle(s->graph, n, columns, columns - n);
    scores = tensor_where(seen, scores, tensor_scalar(s->graph, -INFINITY));
    tensor *near_values = tensor_slice(v, 2, nearest, columns);
    top_k = top_k < nearest ? top_k : nearest;
    if (top_k == 0)
        return tensor_matmul(tensor_softmax(scores, 3), near_values);
    tensor *places, *far = tensor_matmul_nt(q, tensor_slice(k, 2, 0, nearest));
    far = tensor_multiply(tensor_top_k(far, top_k, &places), scale);
    tensor *weights = tensor_softmax(tensor_concat(2, (tensor *[]){far, scores}, 3), 3);
    tensor *rows = tensor_reshape(tensor_slice(v, 2, 0, nearest), 3, SHAPE(B, nearest, d));
    rows = tensor_gather(rows, 1, tensor_reshape(places, 3, SHAPE(B, H * n * top_k, 1)));
    tensor *found =
        tensor_matmul(tensor_reshape(tensor_slice(weights, 3, 0, top_k), 5, SHAPE(B, H, n, 1, top_k)),
                      tensor_reshape(rows, 5, SHAPE(B, H, n, top_k, d)));
    tensor *local = tensor_matmul(tensor_slice(weights, 3, top_k, columns), near_values);
    return tensor_add(local, tensor_reshape(found, 4, SHAPE(B, H, n, d)));
}

/* [B, T, heads, d] -> [B, heads, T, d] of length 1. */
static tensor *unit_rows(tensor *x)
{
    return tensor_l2_norm_max(tensor_transpose(x, 1, 2), 1e-12);
}

/* Without gradient before `start`. */
static tensor *stored_before(tensor *x, int64_t start)
{
    if (start == 0)
        return x;
    tensor *parts[] = {tensor_stop_gradient(tensor_slice(x, 2, 0, start)),
                       tensor_slice(x, 2, start, x->shape[2] - start)};
    return tensor_concat(2, parts, 2);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = head_dim(s), segment = option(s, "segment");
    int64_t end = s->position + x->shape[1];
    tensor *kv = linear(s, "to_kv", x, 2 * d, false);
    struct pieces parts = {0};
    tensor *q = unit_rows(split_heads(linear(s, "to_q", x, heads * d, false), heads));
    tensor *k = cache_append(s, "key", split_heads(tensor_slice(kv, 2, 0, d), 1), 0);
    tensor *v = cache_append(s, "value", split_heads(tensor_slice(kv, 2, d, d), 1), 0);
    k = unit_rows(k);
    v = tensor_transpose(v, 1, 2);
    for (int64_t start = s->position / segment * segment; start < end; start += segment) {
        int64_t first = start < s->position ? s->position : start;
        int64_t last = start + segment < end ? start + segment : end;
        add_piece(&parts, attend(s, tensor_slice(q, 2, first - s->position, last - first),
                                 stored_before(k, start), stored_before(v, start), start, first));
    }
    tensor *y = join_pieces(&parts, 2);
    y = linear(s, "to_out", merge_heads(tensor_transpose(y, 1, 2)), s->width, false);
    if (option(s, "gate_output"))
        y = tensor_multiply(y, tensor_tanh(parameter(s, "output_gate", init_constant(0), 1, SHAPE(1))));
    return y;
}

KERNEL(nearest_memory_attention) = {
    .name = "nearest-memory-attention",
    .slot = SLOT_MIXER,
    .variant = "memorizing-transformer",
    .summary = "attention to nearby tokens and to the best of all earlier ones, found by a search",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "query heads; there is one key-value head"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       INTEGER_OPTION("segment", 128, 1, 1 << 24, "tokens of a segment"),
                       INTEGER_OPTION("recent", 128, 0, 1 << 24, "rows before it that are seen as nearby"),
                       INTEGER_OPTION("top_k", 32, 0, 1 << 20, "rows that a search finds before those"),
                       FLAG_OPTION("bias", 0, "T5's bias of nearby keys"),
                       FLAG_OPTION("gate_output", 0, "the output has a gate, closed at first")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"},
                             {"heads", "single-key-value"}, {"visibility", "content"},
                             {"memory", "retrieval"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
