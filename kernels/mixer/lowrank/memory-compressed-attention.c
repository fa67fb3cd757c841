/* Memory-compressed attention (memory-compressed-attention, section 4.2.4;
 * lucidrains/memory-compressed-attention MemoryCompressedAttention). Keys and values, before they are split
 * into heads, get zeros in front up to a multiple of c = `compression` and go through one strided
 * convolution, a group of channels for each head; a learned row stands before them:
 *
 *     K_u = sum_{i<c} C_i k_{uc + i} + b,  V_u alike with the same C,   u < n = ceil(T / c);   K_null, V_null
 *     o_t = softmax(q_t . K / sqrt(D)) V
 *         over the null row and the blocks that have ended by t; sqrt of the width, not of a head's
 *
 * The zeros in front shift the blocks with the number of tokens, so a step does the whole again. */
#include "block/kernel.h"
#include <math.h>
#include <string.h>

/* [B, T, D] -> [B, 1 + n, H, d] */
static tensor *compressed(struct scope *s, const char *name, tensor *x)
{
    int64_t heads = option(s, "heads"), c = option(s, "compression"), batch = x->shape[0],
            d = s->width / heads;
    int64_t n = (x->shape[1] + c - 1) / c;
    tensor *weight = parameter(s, "compress_fn.conv.weight", init_linear(), 3, SHAPE(s->width, d, c));
    tensor *bias = parameter(s, "compress_fn.conv.bias", init_constant(0), 1, SHAPE(s->width));
    tensor *blocks =
        tensor_reshape(tensor_pad(x, 1, n * c - x->shape[1], 0, 0), 5, SHAPE(batch, n, c, heads, d));
    blocks = tensor_reshape(tensor_permute(blocks, (const int[]){0, 1, 3, 4, 2}), 4,
                            SHAPE(batch, n, heads, d * c));
    tensor *y = per_head_product(blocks, tensor_reshape(weight, 3, SHAPE(heads, d, d * c)), true);
    y = tensor_add(y, tensor_reshape(bias, 2, SHAPE(heads, d)));
    tensor *null = parameter(s, name, init_constant(0), 3, SHAPE(1, 1, s->width));
    null = tensor_repeat(split_heads(null, heads), 0, batch);
    return tensor_concat(2, (tensor *[]){null, y}, 1);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), c = option(s, "compression"), length = x->shape[1], width = s->width;
    tensor *qkv = linear(s, "to_qkv", x, 3 * width, false);
    tensor *q = split_heads(tensor_slice(qkv, 2, 0, width), heads);
    tensor *k = compressed(s, "null_k", tensor_slice(qkv, 2, width, width));
    tensor *v = compressed(s, "null_v", tensor_slice(qkv, 2, 2 * width, width));
    struct attention_options options = {.scale = 1 / sqrt((double)width)};
    if (option(s, "causal")) {
        /* Every key is a sink that sums up c positions; the null row, as if it were a block, has ended before
         * them all. */
        int64_t padding = (k->shape[1] - 1) * c - length;
        options.causal = true;
        options.sinks = options.offset = k->shape[1];
        options.sink_span = c;
        options.sink_inclusive = true;
        options.start = c + padding - options.offset;
    }
    return linear(s, "to_out", merge_heads(tensor_attention(q, k, v, &options)), width, true);
}

static const char *character(const struct scope *s, const char *name)
{
    if (strcmp(name, "causality") == 0 && option(s, "compression") == 1)
        return causality_by_option(s, name);
    return strcmp(name, "causality") == 0 && !option(s, "causal") ? "bidirectional" : NULL;
}

KERNEL(memory_compressed_attention) = {
    .name = "memory-compressed-attention",
    .slot = SLOT_MIXER,
    .variant = "memory-compressed-attention",
    .summary = "attention over keys and values that a strided convolution has shortened",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("compression", 3, 1, 1 << 20, "tokens of a compressed key"),
                       FLAG_OPTION("causal", 1, "blocks that have not ended are not seen")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "compressed"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "replay"}, {"causality", "approximate"}),
    .character = character,
    .validate = validate_heads,
    .forward = forward,
};
