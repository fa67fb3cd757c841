/* Attention to a memory whose oldest rows are compressed, not dropped (compressive-transformer, section 3.1;
 * lucidrains/compressive-transformer-pytorch SelfAttention). Over segments of inputs x:
 *
 *     c = [C ; M ; x],  score = (q_i . k_m + q_i . P[segment - 1 + m - i]) / sqrt(d) for m <= n + i,
 *         n rows before x
 *     M = newest `memory` rows of (M ; x);  C = newest `compressed` rows of (C ; f(what fell out of M))
 *
 * f is a convolution over groups of `ratio` rows, whose input is without gradient; where they do not divide,
 * zeros come first and a rest is dropped. A segment that is not full changes no memory. The row of P follows
 * the published code: the same distance has another row while the memories fill. The further output aux is
 * the loss that trains f in the paper (section 3.1, algorithm 2): per segment, the mean square difference of
 * attention to M and to what was compressed, without gradient. */
#include "block/kernel.h"
#include <math.h>

/* Rows in groups of `ratio` through the convolution, [B, n, D]; NULL if there is no group. */
static tensor *compress(struct scope *s, tensor *rows)
{
    int64_t ratio = option(s, "ratio"), d = s->width, batch = rows->shape[0];
    tensor *weight = parameter(s, "compress_mem_fn.conv.weight", init_linear(), 3, SHAPE(d, d, ratio));
    tensor *bias = parameter(s, "compress_mem_fn.conv.bias", init_constant(0), 1, SHAPE(d));
    rows = tensor_pad(tensor_stop_gradient(rows), 1, rows->shape[1] % ratio, 0, 0);
    int64_t groups = rows->shape[1] / ratio;
    if (groups == 0)
        return NULL;
    rows = tensor_reshape(tensor_slice(rows, 1, 0, groups * ratio), 3, SHAPE(batch, groups, ratio * d));
    weight = tensor_reshape(tensor_permute(weight, (const int[]){0, 2, 1}), 2, SHAPE(d, ratio * d));
    return tensor_linear(rows, weight, bias);
}

struct keys {
    tensor *k, *v;
};

static struct keys keys_of(struct scope *s, tensor *rows)
{
    int64_t heads = option(s, "heads");
    tensor *kv = linear(s, "to_kv", rows, 2 * s->width, false);
    return (struct keys){split_heads(tensor_slice(kv, 2, 0, s->width), heads),
                         split_heads(tensor_slice(kv, 2, s->width, s->width), heads)};
}

/* How much attention to the memory, of which there may be none yet, changes by its compression, [1]; 0 if
 * nothing is compressed. */
static tensor *reconstruction_loss(struct scope *s, tensor *q, struct keys memory, tensor *compressed)
{
    if (!compressed)
        return tensor_scalar(s->graph, 0);
    struct keys small = keys_of(s, compressed);
    struct attention_options all = {0};
    tensor *difference = tensor_attention(q, small.k, small.v, &all);
    if (memory.k)
        difference = tensor_subtract(tensor_attention(q, memory.k, memory.v, &all), difference);
    return tensor_stop_gradient(
        tensor_scale(tensor_sum_all(tensor_square(difference)), 1 / (double)tensor_size(difference)));
}

static void remember(struct scope *s, tensor *x, tensor *q, struct keys seen)
{
    tensor *memory = carried(s, "memory"), *summaries = carried(s, "compressed"), *compressed = NULL;
    int64_t before = memory ? memory->shape[1] : 0, old = before + x->shape[1] - option(s, "memory");
    tensor *queue = memory ? tensor_concat(2, (tensor *[]){memory, x}, 1) : x;
    if (old > 0 && option(s, "compressed"))
        compressed = compress(s, tensor_slice(queue, 1, 0, old));
    tensor *newest = newest_rows(memory, x, option(s, "memory"));
    if (newest)
        carry(s, "memory", newest);
    if (compressed)
        carry(s, "compressed", newest_rows(summaries, compressed, option(s, "compressed")));
    if (!s->inputs)
        return;
    int64_t first = seen.k->shape[1] - x->shape[1] - before;
    struct keys in_memory = {NULL, NULL};
    if (before)
        in_memory =
            (struct keys){tensor_slice(seen.k, 1, first, before), tensor_slice(seen.v, 1, first, before)};
    tensor *losses = carried(s, "aux"), *loss = reconstruction_loss(s, q, in_memory, compressed);
    carry(s, "aux", losses ? tensor_concat(2, (tensor *[]){losses, loss}, 0) : loss);
}

static tensor *segment(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = s->width / heads, length = option(s, "segment"),
            rows = x->shape[1];
    tensor *parts[] = {carried(s, "compressed"), carried(s, "memory"), x}, *all[3];
    int count = 0;
    for (int i = 0; i < 3; i++)
        if (parts[i])
            all[count++] = parts[i];
    struct keys seen = keys_of(s, tensor_concat(count, all, 1));
    tensor *q = split_heads(linear(s, "to_q", x, s->width, false), heads);
    int64_t places = length + option(s, "memory") + option(s, "compressed"), columns = seen.k->shape[1];
    tensor *table = parameter(s, "pos_emb", init_normal(0.02), 3, SHAPE(heads, places, d));
    tensor *vectors = tensor_slice(table, 1, length - rows, columns);
    tensor *bias = relative_shift(tensor_matmul_nt(tensor_transpose(q, 1, 2), vectors));
    struct attention_options options = {
        .causal = true, .offset = columns - rows, .bias = tensor_scale(bias, 1 / sqrt((double)d))};
    tensor *y = tensor_attention(q, seen.k, seen.v, &options);
    if (rows == length)
        remember(s, x, q, seen);
    else if (s->inputs) {
        tensor *losses = carried(s, "aux"), *none = tensor_scalar(s->graph, 0);
        carry(s, "aux", losses ? tensor_concat(2, (tensor *[]){losses, none}, 0) : none);
    }
    return linear(s, "to_out", merge_heads(y), s->width, true);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t d = s->width; /* the convolution is there also where nothing has been compressed yet */
    parameter(s, "compress_mem_fn.conv.weight", init_linear(), 3, SHAPE(d, d, option(s, "ratio")));
    parameter(s, "compress_mem_fn.conv.bias", init_constant(0), 1, SHAPE(d));
    struct scope inside = *s;
    if (s->state)
        inside.inputs = NULL; /* no losses in a step */
    tensor *y = by_segments(&inside, x, option(s, "segment"), segment);
    if (inside.inputs)
        further_output(s, "aux", carried(&inside, "aux"));
    return y;
}

KERNEL(compressed_memory_attention) = {
    .name = "compressed-memory-attention",
    .slot = SLOT_MIXER,
    .variant = "compressive-transformer",
    .summary = "attention to the newest earlier inputs and to convolved summaries of older ones",
    .options = OPTIONS(INTEGER_OPTION("segment", 64, 1, 1 << 24, "tokens of a segment"),
                       INTEGER_OPTION("memory", 64, 0, 1 << 24, "earlier inputs kept as they are"),
                       INTEGER_OPTION("compressed", 32, 0, 1 << 24, "summaries kept"),
                       INTEGER_OPTION("ratio", 4, 1, 1 << 16, "rows that become one summary"),
                       INTEGER_OPTION("heads", 8, 1, 1024, "heads")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "compressed"}, {"state", "segments"}, {"memory", "compressed"},
                             {"position", "relative"}, {"time", "linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
