/* LongT5's encoder attention (longt5, section 3; transformers LongT5LocalAttention and
 * LongT5TransientGlobalAttention).
 *
 *     q, k, v = x Wq, x Wk, x Wv;  scores q . k, not scaled
 *     y_t = concat_h(softmax over q_t . k_s + b(s - t), |t - s| <= r, and q_t . k'_j + b'(j - block(t))) Wo
 *
 * b and b' are T5's learned biases by bucket of distance. The global tokens j, made anew in each layer, are
 * the sums of blocks of `global_block` tokens, normalised, through the same Wk and Wv; tokens after the last
 * whole block belong to it. global_block 0 leaves the local form. Window and global tokens are two
 * attentions, joined by their log sums. */
#include "block/kernel.h"

/* The biases by distance t - s = -r .. r, [H, 2 r + 1]. */
static tensor *local_bias(struct scope *s, tensor *table)
{
    int64_t r = option(s, "radius"), half = option(s, "buckets") / 2;
    tensor *places = tensor_constant(s->graph, NULL, 1, SHAPE(2 * r + 1));
    for (int64_t i = 0; i <= 2 * r; i++) {
        int64_t distance = i > r ? i - r : r - i;
        places->data[i] =
            (real)((i < r ? half : 0) + distance_bucket(distance, half, option(s, "max_distance")));
    }
    return tensor_contiguous(tensor_transpose(tensor_rows(table, places), 0, 1));
}

/* Queries stand r positions further than they are: so what they see, up to r after them, is causal. */
static tensor *attend_locally(struct scope *s, tensor *q, tensor *k, tensor *v, tensor **log_sum)
{
    int64_t r = option(s, "radius"), heads = option(s, "heads");
    tensor *table = parameter(s, "relative_attention_bias.weight", init_normal(0.1), 2,
                              SHAPE(option(s, "buckets"), heads));
    struct attention_options options = {.scale = 1,
                                        .causal = true,
                                        .offset = r,
                                        .window = 2 * r + 1,
                                        .distance_bias = local_bias(s, table),
                                        .log_sum = log_sum};
    return tensor_attention(q, k, v, &options);
}

static tensor *global_table(struct scope *s)
{
    return parameter(s, "global_relative_attention_bias.weight", init_normal(0.1), 2,
                     SHAPE(option(s, "buckets"), option(s, "heads")));
}

/* b'(j - block(t)) as [1, H, T, blocks]. */
static tensor *global_bias(struct scope *s, int64_t length, int64_t blocks)
{
    int64_t heads = option(s, "heads"), g = option(s, "global_block");
    tensor *table = global_table(s),
           *between = bucketed_bias(table, option(s, "max_distance"), false, blocks, blocks);
    tensor *block = tensor_constant(s->graph, NULL, 3, SHAPE(1, length, 1));
    for (int64_t t = 0; t < length; t++)
        block->data[t] = (real)(t / g < blocks ? t / g : blocks - 1);
    return tensor_reshape(tensor_gather(between, 1, block), 4, SHAPE(1, heads, length, blocks));
}

/* The sums of blocks [B, blocks, D], the tokens that are left over in the last one. */
static tensor *block_sums(tensor *x, int64_t block, int64_t blocks)
{
    int64_t whole = blocks * block, left = x->shape[1] - whole;
    tensor *sums =
        tensor_reshape(tensor_slice(x, 1, 0, whole), 4, SHAPE(x->shape[0], blocks, block, x->shape[2]));
    sums = tensor_reshape(tensor_sum(sums, 2), 3, SHAPE(x->shape[0], blocks, x->shape[2]));
    if (!left)
        return sums;
    tensor *rest = tensor_sum(tensor_slice(x, 1, whole, left), 1);
    return tensor_add(sums, tensor_pad(rest, 1, blocks - 1, 0, 0));
}

static tensor *attend_globally(struct scope *s, tensor *x, tensor *q, int64_t blocks, tensor **log_sum)
{
    int64_t heads = option(s, "heads"), inner = heads * head_dim(s);
    tensor *summed = block_sums(x, option(s, "global_block"), blocks);
    summed = rms_norm(s, "global_input_layer_norm", summed, option_real(s, "epsilon"));
    tensor *k = split_heads(linear(s, "k", summed, inner, false), heads);
    tensor *v = split_heads(linear(s, "v", summed, inner, false), heads);
    struct attention_options options = {
        .scale = 1, .bias = global_bias(s, x->shape[1], blocks), .log_sum = log_sum};
    return tensor_attention(q, k, v, &options);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), inner = heads * head_dim(s), g = option(s, "global_block");
    tensor *q = split_heads(linear(s, "q", x, inner, false), heads);
    tensor *k = split_heads(linear(s, "k", x, inner, false), heads);
    tensor *v = split_heads(linear(s, "v", x, inner, false), heads);
    tensor *sums[2], *parts[2] = {attend_locally(s, q, k, v, &sums[0])}, *y = parts[0];
    if (g && x->shape[1] >= g) {
        parts[1] = attend_globally(s, x, q, x->shape[1] / g, &sums[1]);
        y = tensor_join_attention(2, parts, sums);
    } else if (g) { /* too short for a global token; a published layer has these weights all the same */
        global_table(s);
        rms_norm(s, "global_input_layer_norm", x, option_real(s, "epsilon"));
    }
    return linear(s, "o", merge_heads(y), s->width, false);
}

static const char *character(const struct scope *s, const char *name)
{
    if (option(s, "global_block"))
        return NULL;
    return name[0] == 't' ? "linear" : name[0] == 'v' ? "window" : NULL;
}

static const char *validate(const struct scope *s)
{
    if (option(s, "buckets") % 2)
        return "half of the buckets are for later tokens: they have to be even";
    return validate_heads(s);
}

KERNEL(transient_global_attention) = {
    .name = "transient-global-attention",
    .slot = SLOT_MIXER,
    .variant = "longt5",
    .summary = "attention to a window around each token and to sums of blocks of tokens",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       INTEGER_OPTION("radius", 127, 0, 1 << 24, "tokens seen on either side"),
                       INTEGER_OPTION("global_block", 16, 0, 1 << 24,
                                      "tokens of a global one; 0: there are none"),
                       INTEGER_OPTION("buckets", 32, 4, 1 << 16, "learned biases by distance, to both sides"),
                       INTEGER_OPTION("max_distance", 128, 2, 1 << 24, "from which distances share a bias"),
                       REAL_OPTION("epsilon", 1e-6, 0, 1, "of the global tokens' norm")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "compressed"}, {"position", "relative"}, {"time", "quadratic"},
                             {"causality", "bidirectional"}),
    .character = character,
    .validate = validate,
    .forward = forward,
};
