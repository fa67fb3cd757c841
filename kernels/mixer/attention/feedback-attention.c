/* Attention to a memory shared by all layers (feedback-transformer, section 3.3;
 * lucidrains/feedback-transformer-pytorch Attention).
 *
 * A single token attends to the memory alone, and is left as it is where there is none; several attend to it
 * and to each other, causally, with the same key-value projection. Both come from feedback-memory. To a score
 * is added T5's bias of the bucket of max(i - j, 0), where, as published, rows i count from the first token
 * of the piece and keys j from the oldest row of memory. Without feedback-memory all tokens are one piece. */
#include "block/kernel.h"

static tensor *bias(struct scope *s, int64_t rows, int64_t columns)
{
    int64_t heads = option(s, "heads");
    tensor *table =
        shared_parameter(s, "relative_attention_bias.weight", init_normal(0.02), 2, SHAPE(32, heads));
    tensor *places = tensor_constant(s->graph, NULL, 2, SHAPE(rows, columns));
    for (int64_t n = 0; n < rows * columns; n++) {
        int64_t distance = s->position + n / columns - n % columns;
        places->data[n] = (real)distance_bucket(distance > 0 ? distance : 0, 32, 128);
    }
    return tensor_contiguous(tensor_permute(tensor_rows(table, places), (const int[]){2, 0, 1}));
}

/* Keys and values side by side, or NULL where there is nothing to see. */
static tensor *seen(struct scope *s, tensor *x, int64_t inner)
{
    tensor *memory = layer_find(s, 0, "memory"), *weight = layer_find(s, 0, "to_kv");
    if (!weight)
        return cache_append(s, "kv", linear(s, "to_kv", x, 2 * inner, false), 0);
    if (x->shape[1] == 1)
        return memory;
    tensor *own = tensor_linear(x, weight, NULL);
    return memory ? tensor_concat(2, (tensor *[]){memory, own}, 1) : own;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = head_dim(s), inner = heads * d, rows = x->shape[1];
    tensor *q = split_heads(linear(s, "to_q", x, inner, false), heads);
    tensor *kv = seen(s, x, inner);
    bool nothing = !kv;
    if (nothing)
        kv = tensor_full(s->graph, 0, 3, SHAPE(x->shape[0], 1, 2 * inner));
    tensor *k = split_heads(tensor_slice(kv, 2, 0, inner), heads);
    tensor *v = split_heads(tensor_slice(kv, 2, inner, inner), heads);
    struct attention_options options = {
        .causal = true, .offset = kv->shape[1] - rows, .bias = bias(s, rows, kv->shape[1])};
    tensor *y = linear(s, "to_out", merge_heads(tensor_attention(q, k, v, &options)), s->width, true);
    return nothing ? tensor_full(s->graph, 0, 3, x->shape) : y;
}

KERNEL(feedback_attention) = {
    .name = "feedback-attention",
    .slot = SLOT_MIXER,
    .variant = "feedback-transformer",
    .summary = "attention to a memory that all layers share",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
