/* HyperAttention (hyperattention, algorithms 1 to 4; insuhan/hyper-attn HyperAttention). Attention of n
 * queries to n keys without a mask: queries and keys are sorted, each for itself, by a hash whose
 * neighbouring values are neighbouring cells,
 *
 *     h(u) = perm[sum_r 2^r [u . P_r > 0]]
 *
 * so that large scores gather near the diagonal. The b queries of a sorted block see the b keys of the block
 * across, and `samples` keys drawn at random stand for the rest: their log sum rises by log(n / samples), and
 * the two are joined. Where n is no multiple of b zeros fill the last block, and its keys take part, as
 * published.
 *
 * Causal attention is halved: each half attends within itself in the same way, and the second half to the
 * first without a mask. At `segment` tokens and less all is exact. Later tokens move the halves and the order
 * of queries, as published.
 *
 * Draws are the further inputs sampled_0, sampled_1, .. [B, heads there, samples], in the order of use, or
 * else one even spread for all. */
#include "attention-part.h"
#include <math.h>

static void fill_cells(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)s, (void)rank;
    for (int64_t i = 0; i < shape[0]; i++)
        values[i] = 0;
    for (int64_t half = 1; half < shape[0]; half *= 2) /* a Gray code's inverse */
        for (int64_t i = 0; i < half; i++)
            values[half + i] = values[half - 1 - i] + (real)half;
}

/* Declared also where the sequence is short. */
struct hash {
    tensor *planes, *cells;
};

static struct hash hash_of(struct scope *s)
{
    int64_t bits = option(s, "bits");
    return (struct hash){buffer(s, "attn.lsh.proj_dir", init_normal(1), 4, SHAPE(1, 1, head_dim(s), bits)),
                         buffer(s, "attn.lsh.perm", init_function(fill_cells), 1, SHAPE((int64_t)1 << bits))};
}

/* The order of x [B, n, H, d] by hash, [B, n, H, 1], and where each row went. */
static tensor *hash_order(struct scope *s, tensor *x, tensor **place)
{
    int64_t B = x->shape[0], n = x->shape[1], H = x->shape[2];
    struct hash hash = hash_of(s);
    tensor *sides = tensor_matmul(tensor_transpose(tensor_stop_gradient(x), 1, 2), hash.planes), *cell = NULL,
           *order;
    sides = tensor_greater(sides, tensor_scalar(s->graph, 0));
    for (int64_t bit = 0; bit < option(s, "bits"); bit++) {
        tensor *value = tensor_scale(tensor_slice(sides, 3, bit, 1), (double)((int64_t)1 << bit));
        cell = cell ? tensor_add(cell, value) : value;
    }
    tensor_sort(tensor_rows(hash.cells, tensor_reshape(cell, 3, SHAPE(B, H, n))), false, &order);
    tensor_sort(order, false, place);
    *place = tensor_reshape(tensor_transpose(*place, 1, 2), 4, SHAPE(B, n, H, 1));
    return tensor_reshape(tensor_transpose(order, 1, 2), 4, SHAPE(B, n, H, 1));
}

/* Blocks of the sorted rows x [B, n, H, d]: [B H n / b, b, 1, d], zeros at the end. */
static tensor *blocks(tensor *x, int64_t b)
{
    int64_t count = (x->shape[1] + b - 1) / b, H = x->shape[2], d = x->shape[3];
    x = tensor_transpose(tensor_pad(x, 1, 0, count * b - x->shape[1], 0), 1, 2);
    return tensor_reshape(x, 4, SHAPE(x->shape[0] * H * count, b, 1, d));
}

static struct part attend_blocks(tensor *q, tensor *k, tensor *v, int64_t b)
{
    int64_t B = q->shape[0], n = q->shape[1], H = q->shape[2], d = q->shape[3];
    struct part part = attend(blocks(q, b), blocks(k, b), blocks(v, b), false, NULL);
    part.rows = tensor_slice(tensor_reshape(part.rows, 4, SHAPE(B, H, -1, d)), 2, 0, n);
    part.rows = tensor_transpose(part.rows, 1, 2);
    part.log_sum = tensor_slice(tensor_reshape(part.log_sum, 3, SHAPE(B, H, -1)), 2, 0, n);
    return part;
}

/* Places in the sorted keys, [B, samples, H, 1]. */
static tensor *draw(struct scope *s, int64_t B, int64_t n, int64_t H, int *draws)
{
    int64_t samples = option(s, "samples");
    tensor *given = further_input(s, part_name(s, "sampled_%d", (*draws)++));
    if (given)
        return tensor_reshape(tensor_transpose(given, 1, 2), 4, SHAPE(B, samples, H, 1));
    tensor *places = tensor_constant(s->graph, NULL, 3, SHAPE(samples, 1, 1));
    for (int64_t i = 0; i < samples; i++)
        places->data[i] = (real)floor(fmod((double)(i + 1) * 0.6180339887498949, 1) * (double)n);
    return tensor_broadcast(places, 4, SHAPE(B, samples, H, 1));
}

/* The sorted queries' attention to sampled ones of the sorted keys, in place of all. */
static struct part attend_samples(struct scope *s, tensor *q, tensor *k, tensor *v, int *draws)
{
    int64_t B = q->shape[0], n = q->shape[1], H = q->shape[2], b = option(s, "block");
    tensor *chosen = draw(s, B, n, H, draws), *bias = NULL;
    if (option(s, "mask_own_block")) {
        tensor *own =
            tensor_floor(tensor_scale(tensor_affine(tensor_range(s->graph, 0, n, 1), 1, 0.5), 1 / (double)b));
        tensor *block = tensor_floor(tensor_scale(tensor_affine(chosen, 1, 0.5), 1 / (double)b));
        block = tensor_permute(block, (const int[]){0, 2, 3, 1});
        tensor *same = tensor_equal(tensor_reshape(own, 2, SHAPE(n, 1)), block);
        bias = tensor_where(same, tensor_scalar(s->graph, -INFINITY), tensor_scalar(s->graph, 0));
    }
    struct part part = attend(q, tensor_gather(k, 1, chosen), tensor_gather(v, 1, chosen), false, bias);
    tensor *empty = tensor_equal(part.log_sum, tensor_scalar(s->graph, INFINITY));
    tensor *raised = tensor_affine(part.log_sum, 1, log((double)n / (double)option(s, "samples")));
    part.log_sum = tensor_where(empty, tensor_scalar(s->graph, -INFINITY), raised);
    return part;
}

static struct part without_mask(struct scope *s, tensor *q, tensor *k, tensor *v, int *draws)
{
    int64_t n = q->shape[1], b = option(s, "block");
    if (n < option(s, "segment"))
        return attend(q, k, v, false, NULL);
    tensor *place, *ignored, *order = hash_order(s, q, &place), *of_keys = hash_order(s, k, &ignored);
    q = tensor_gather(q, 1, order);
    k = tensor_gather(k, 1, of_keys);
    v = tensor_gather(v, 1, of_keys);
    struct part part = attend_blocks(q, k, v, b);
    if (n > b && option(s, "samples"))
        part = joined(part, attend_samples(s, q, k, v, draws));
    part.rows = tensor_gather(part.rows, 1, place);
    place = tensor_reshape(tensor_transpose(place, 1, 2), 3, part.log_sum->shape);
    part.log_sum = tensor_gather(part.log_sum, 2, place);
    return part;
}

/* Both halves of x [B, n, H, d] as heads of their own, side by side: [B, n / 2, 2 H, d]; and back. */
static tensor *halves(tensor *x)
{
    int64_t B = x->shape[0], n = x->shape[1] / 2, H = x->shape[2], d = x->shape[3];
    x = tensor_permute(tensor_reshape(x, 5, SHAPE(B, 2, n, H, d)), (const int[]){0, 2, 3, 1, 4});
    return tensor_reshape(x, 4, SHAPE(B, n, 2 * H, d));
}

static tensor *whole(tensor *x)
{
    int64_t B = x->shape[0], n = x->shape[1], H = x->shape[2] / 2, d = x->shape[3];
    x = tensor_permute(tensor_reshape(x, 5, SHAPE(B, n, H, 2, d)), (const int[]){0, 3, 1, 2, 4});
    return tensor_reshape(x, 4, SHAPE(B, 2 * n, H, d));
}

static struct part with_mask(struct scope *s, tensor *q, tensor *k, tensor *v, int *draws)
{
    int64_t length = q->shape[1], half = (length + 1) / 2, missing = 2 * half - length;
    if (length <= option(s, "segment"))
        return attend(q, k, v, true, NULL);
    q = tensor_pad(q, 1, 0, missing, 0);
    k = tensor_pad(k, 1, 0, missing, 0);
    v = tensor_pad(v, 1, 0, missing, 0);
    struct part own = with_mask(s, halves(q), halves(k), halves(v), draws);
    own.rows = whole(own.rows);
    own.log_sum = tensor_reshape(own.log_sum, 3, SHAPE(q->shape[0], q->shape[2], 2 * half));
    struct part earlier = without_mask(s, tensor_slice(q, 1, half, half), tensor_slice(k, 1, 0, half),
                                       tensor_slice(v, 1, 0, half), draws);
    struct part later = {tensor_slice(own.rows, 1, half, half), tensor_slice(own.log_sum, 2, half, half)};
    later = joined(later, earlier);
    tensor *rows[] = {tensor_slice(own.rows, 1, 0, half), later.rows};
    tensor *log_sums[] = {tensor_slice(own.log_sum, 2, 0, half), later.log_sum};
    return (struct part){tensor_slice(tensor_concat(2, rows, 1), 1, 0, length),
                         tensor_slice(tensor_concat(2, log_sums, 2), 2, 0, length)};
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads");
    tensor *q = split_heads(linear(s, "q_proj", x, s->width, true), heads);
    tensor *k = split_heads(linear(s, "k_proj", x, s->width, true), heads);
    tensor *v = split_heads(linear(s, "v_proj", x, s->width, true), heads);
    hash_of(s);
    int draws = 0;
    struct part part = (option(s, "causal") ? with_mask : without_mask)(s, q, k, v, &draws);
    return linear(s, "out_proj", merge_heads(part.rows), s->width, true);
}

static const char *character(const struct scope *s, const char *name)
{
    return option(s, "causal") ? NULL : causality_by_option(s, name);
}

KERNEL(hash_sampled_attention) = {
    .name = "hash-sampled-attention",
    .slot = SLOT_MIXER,
    .variant = "hyperattention",
    .summary = "blocks of queries and keys sorted by hash are attended exactly, the rest is estimated from "
               "sampled keys",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("block", 256, 1, 1 << 20, "sorted queries and keys of a block"),
                       INTEGER_OPTION("samples", 256, 0, 1 << 20, "keys that stand for the rest"),
                       INTEGER_OPTION("segment", 4096, 1, 1 << 26, "tokens within which all is exact"),
                       INTEGER_OPTION("bits", 7, 1, 16, "bits of a hash"),
                       FLAG_OPTION("mask_own_block", 0, "samples from a query's own block are left out"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "content"}, {"state", "cache"}, {"time", "log-linear"},
                             {"decode-cost", "replay"}, {"causality", "approximate"}),
    .character = character,
    .validate = validate_heads,
    .forward = forward,
};
