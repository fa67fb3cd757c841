/* Landmark attention in its training form (landmark-attention, section 3.1; epfml/landmark-attention
 * landmark_grouped_softmax).
 *
 * The last token of each block of l is its landmark. For a query, with scores a = q . k / sqrt(d) of tokens
 * up to itself,
 *
 *     p_A: one softmax over the ordinary tokens of the own block and the landmarks of all earlier blocks
 *     p_b: for each earlier block b one softmax over its ordinary tokens
 *     weight = p_A in the own block, p_A(landmark of b) p_b in block b, 0 at landmarks
 *
 * A landmark gates its block; values of landmarks are not used. Queries are taken a block at a time, as all
 * of it see the same blocks whole. At inference the paper fetches only blocks with the best landmarks; here
 * all are. */
#include "block/kernel.h"
#include <math.h>

/* x [B, T, G, d] from `start` on, `count` tokens, as [B, H, count, d]. */
static tensor *head_rows_of(tensor *x, int64_t start, int64_t count, int64_t times)
{
    return tensor_transpose(repeat_heads(tensor_slice(x, 1, start, count), times), 1, 2);
}

/* Queries [B, H, rows, d], scaled, that stand in one block from `start` on, over the keys and values up to
 * them. */
static tensor *attend(struct scope *s, tensor *q, tensor *k, tensor *v, int64_t start)
{
    int64_t size = option(s, "block"), B = q->shape[0], H = q->shape[1], rows = q->shape[2], d = q->shape[3];
    int64_t times = H / k->shape[2], block = start / size, inside = start % size, ordinary = size - 1;
    int64_t own = inside + rows < ordinary ? inside + rows : ordinary;
    tensor *scores = tensor_matmul_nt(q, head_rows_of(k, block * size, own, times));
    scores =
        tensor_where(lower_triangle(s->graph, rows, own, inside), scores, tensor_scalar(s->graph, -INFINITY));
    tensor *own_values = head_rows_of(v, block * size, own, times);
    if (!block)
        return tensor_matmul(tensor_softmax(scores, 3), own_values);
    tensor *earlier = tensor_matmul_nt(q, head_rows_of(k, 0, block * size, times));
    earlier = tensor_reshape(earlier, 5, SHAPE(B, H, rows, block, size));
    tensor *landmarks = tensor_reshape(tensor_slice(earlier, 4, ordinary, 1), 4, SHAPE(B, H, rows, block));
    tensor *inner = tensor_softmax(tensor_slice(earlier, 4, 0, ordinary), 4);
    tensor *outer = tensor_softmax(tensor_concat(2, (tensor *[]){scores, landmarks}, 3), 3);
    tensor *gates = tensor_reshape(tensor_slice(outer, 3, own, block), 5, SHAPE(B, H, rows, block, 1));
    tensor *weights = tensor_reshape(tensor_multiply(inner, gates), 4, SHAPE(B, H, rows, block * ordinary));
    tensor *values = tensor_reshape(head_rows_of(v, 0, block * size, times), 5, SHAPE(B, H, block, size, d));
    values = tensor_reshape(tensor_slice(values, 3, 0, ordinary), 4, SHAPE(B, H, block * ordinary, d));
    return tensor_add(tensor_matmul(tensor_slice(outer, 3, 0, own), own_values),
                      tensor_matmul(weights, values));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), groups = key_value_heads(s), d = head_dim(s),
            size = option(s, "block");
    tensor *q = split_heads(linear(s, "q_proj", x, heads * d, false), heads);
    tensor *k = split_heads(linear(s, "k_proj", x, groups * d, false), groups);
    tensor *v = split_heads(linear(s, "v_proj", x, groups * d, false), groups);
    rotate_query_and_key(s, &q, &k);
    k = cache_append(s, "key", k, 0);
    v = cache_append(s, "value", v, 0);
    q = tensor_transpose(tensor_scale(q, 1 / sqrt((double)d)), 1, 2);
    struct pieces parts = {0};
    for (int64_t start = s->position, end = start + x->shape[1], next; start < end; start = next) {
        next = (start / size + 1) * size;
        next = next < end ? next : end;
        add_piece(&parts, attend(s, tensor_slice(q, 2, start - s->position, next - start), k, v, start));
    }
    tensor *y = tensor_transpose(join_pieces(&parts, 2), 1, 2);
    return linear(s, "o_proj", merge_heads(y), s->width, false);
}

KERNEL(landmark_attention) = {
    .name = "landmark-attention",
    .slot = SLOT_MIXER,
    .variant = "landmark-attention",
    .summary = "attention to earlier blocks through their last tokens, whose weights gate the blocks",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "query heads"),
                       INTEGER_OPTION("kv_heads", 0, 0, 1024, "key-value heads; 0: as many as heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       INTEGER_OPTION("block", 64, 2, 1 << 20, "tokens of a block, its landmark with them")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = heads_by_option,
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
