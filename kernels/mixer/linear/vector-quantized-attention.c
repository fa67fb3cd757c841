/* Transformer-VQ's attention (vq-transformer, eq. 13 to 35; transformer-vq VQAttention): keys are replaced by codewords, so that the distant
 * past is a count and a mean value of each code.
 *
 *     n = RMS norm of x, times g, plus b;   q, k by heads, each normalised and times d^-1/4;   v, gate = silu(n ..)
 *     khat_j = the codeword c_s nearest to k_j,   score_ij = (q_i + u) . khat_j + [i - j <= M] (q_i + w) . R_{i-j},   j <= i
 *     y = (softmax(score) v * gate) Wres,        R_m = sinusoid(m) r_proj,   u, w and R times d^-1/4
 *
 * Tokens go in blocks of L. A block sees its own tokens and the M before it one by one; what is older has one entry for each code, with score
 * (q_i + u) . c_s + log count_s and the mean of its values. Matrices are [in, out]. The gradient of khat goes to k. */
#include "block/kernel.h"
#include <math.h>

static int64_t key_width(const struct scope *s)
{
    return option_or(s, "head_dim", s->width / option(s, "heads"));
}

static int64_t value_width(const struct scope *s)
{
    return option_or(s, "value_dim", s->width / option(s, "heads"));
}

static const char *validate(const struct scope *s)
{
    if (s->width % 2)
        return "the width is odd, which sinusoids cannot be";
    bool whole = option(s, "head_dim") && option(s, "value_dim");
    return !whole && s->width % option(s, "heads") ? "the width is not divisible by the number of heads"
                                                   : NULL;
}

static tensor *product(struct scope *s, const char *name, tensor *x, int64_t outputs)
{
    double bound = 1 / sqrt((double)s->width);
    int64_t inputs = tensor_length(x, -1);
    return tensor_matmul(x, parameter(s, name, init_uniform(-bound, bound), 2, SHAPE(inputs, outputs)));
}

static double key_scale(const struct scope *s)
{
    return pow((double)key_width(s), -0.25);
}

static tensor *normalised_heads(struct scope *s, tensor *x)
{
    return tensor_scale(tensor_rms_norm(split_heads(x, option(s, "heads")), NULL, 1e-6), key_scale(s));
}

/* [H, C, d] */
static tensor *codebook(struct scope *s)
{
    int64_t heads = option(s, "heads"), codes = option(s, "codes"), d = key_width(s);
    tensor *sum = buffer(s, "c_sum", init_normal(key_scale(s)), 3, SHAPE(heads, codes, d));
    tensor *count = buffer(s, "c_count", init_constant(1), 2, SHAPE(heads, codes));
    count = tensor_reshape(tensor_clamp(count, 0.01, INFINITY), 3, SHAPE(heads, codes, 1));
    return tensor_stop_gradient(tensor_divide(sum, count));
}

/* Which code is nearest: one-hot [B, H, T, C] for k [B, H, T, d]. */
static tensor *nearest(tensor *k, tensor *codes)
{
    tensor *half = tensor_scale(tensor_transpose(tensor_sum(tensor_square(codes), 2), 1, 2), 0.5);
    tensor *near = tensor_argmax(tensor_subtract(tensor_matmul_nt(tensor_stop_gradient(k), codes), half), 3);
    const int64_t *n = near->shape;
    return tensor_one_hot(tensor_reshape(near, 3, SHAPE(n[0], n[1], n[2])), codes->shape[1]);
}

/* R [H, M + 1, d] */
static tensor *distances(struct scope *s)
{
    int64_t heads = option(s, "heads"), count = option(s, "memory") + 1, width = s->width, half = width / 2;
    tensor *waves = tensor_constant(s->graph, NULL, 2, SHAPE(count, width));
    for (int64_t m = 0; m < count; m++)
        for (int64_t i = 0; i < half; i++) {
            double angle = (double)m / pow(option_real(s, "base"), 2 * (double)i / (double)width);
            waves->data[m * width + i] = (real)sin(angle);
            waves->data[m * width + half + i] = (real)cos(angle);
        }
    tensor *R = tensor_scale(product(s, "r_proj", waves, heads * key_width(s)), key_scale(s));
    return tensor_transpose(tensor_reshape(R, 3, SHAPE(count, heads, key_width(s))), 0, 1);
}

/* x [B, H, T, e] in blocks with the M tokens before them: [B, n, H, M + L, e]. */
static tensor *spans(struct scope *s, tensor *x)
{
    int64_t memory = option(s, "memory"), size = option(s, "block");
    return tensor_transpose(tensor_windows(tensor_pad(x, 2, memory, 0, 0), 2, memory + size, size), 1, 2);
}

/* x [B, H, T, e] -> sums over what is older than each block's span of pairs code and channel: [B, n, H, C, e]. */
static tensor *older_sums(struct scope *s, tensor *one_hot, tensor *x)
{
    int64_t size = option(s, "block"), memory = option(s, "memory"), length = x->shape[2];
    int64_t batch = x->shape[0], heads = x->shape[1], count = length / size;
    tensor *parts[] = {one_hot, x};
    for (int i = 0; i < 2; i++) {
        tensor *moved = tensor_contiguous(tensor_shift(parts[i], 2, memory));
        parts[i] = tensor_reshape(moved, 5, SHAPE(batch, heads, count, size, moved->shape[3]));
    }
    tensor *sums = tensor_matmul_tn(parts[0], parts[1]);
    sums = tensor_shift(tensor_cumulative_sum(sums, 2), 2, 1);
    return tensor_transpose(sums, 1, 2);
}

/* The relative scores of a block's queries [B, n, H, L, d] over its span, and -inf where they may not look. */
static tensor *relative_scores(struct scope *s, tensor *q)
{
    int64_t size = option(s, "block"), memory = option(s, "memory"), span = memory + size,
            blocks = q->shape[1];
    tensor *places = tensor_constant(s->graph, NULL, 5, SHAPE(1, 1, 1, size, span));
    tensor *near = tensor_constant(s->graph, NULL, 5, SHAPE(1, 1, 1, size, span));
    tensor *hidden = tensor_constant(s->graph, NULL, 5, SHAPE(1, blocks, 1, size, span));
    for (int64_t n = 0; n < blocks * size * span; n++) {
        int64_t j = n % span, distance = n / span % size + memory - j, block = n / span / size;
        bool outside = distance < 0 || block * size + j < memory;
        hidden->data[n] = outside ? -(real)INFINITY : 0;
        if (block > 0)
            continue;
        near->data[n] = distance >= 0 && distance <= memory;
        places->data[n] = near->data[n] > 0 ? (real)distance : 0;
    }
    tensor *scores = tensor_gather(tensor_matmul_nt(q, distances(s)), 4, places);
    return tensor_add(tensor_multiply(scores, near), hidden);
}

static tensor *head_bias(struct scope *s, const char *name)
{
    int64_t heads = option(s, "heads"), d = key_width(s);
    tensor *bias = parameter(s, name, init_constant(0), 1, SHAPE(heads * d));
    return tensor_scale(tensor_reshape(bias, 4, SHAPE(1, heads, 1, d)), key_scale(s));
}

/* [B, n, H, N, e] as the attention takes it: [B n, N, H, e]. */
static tensor *block_rows(tensor *x)
{
    const int64_t *n = x->shape;
    return tensor_reshape(tensor_transpose(x, 2, 3), 4, SHAPE(n[0] * n[1], n[3], n[2], n[4]));
}

/* o [B, H, T, e] for q, k, v [B, H, T, ..], T whole blocks. */
static tensor *attend(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t batch = q->shape[0], heads = q->shape[1], length = q->shape[2], d = q->shape[3], e = v->shape[3];
    int64_t size = option(s, "block"), blocks = length / size, count = option(s, "codes");
    int64_t span = option(s, "memory") + size;
    tensor *codes = codebook(s), *one_hot = nearest(k, codes);
    tensor *khat = tensor_straight_through(tensor_stop_gradient(tensor_matmul(one_hot, codes)), k);
    tensor *cut[] = {tensor_add(q, head_bias(s, "u")), tensor_add(q, head_bias(s, "v"))};
    for (int i = 0; i < 2; i++) {
        tensor *blocked = tensor_reshape(tensor_contiguous(cut[i]), 5, SHAPE(batch, heads, blocks, size, d));
        cut[i] = tensor_transpose(blocked, 1, 2);
    }
    tensor *bias = relative_scores(s, cut[1]);
    tensor *keys = spans(s, khat), *values = spans(s, v);
    if (option(s, "cache")) {
        tensor *ones = tensor_full(s->graph, 1, 4, SHAPE(batch, heads, length, 1));
        tensor *counts = older_sums(s, one_hot, ones), *some = tensor_clamp(counts, 1, INFINITY);
        tensor *means = tensor_divide(older_sums(s, one_hot, v), some);
        tensor *logs = tensor_where(counts, tensor_log(some), tensor_scalar(s->graph, -INFINITY));
        tensor *shared = tensor_broadcast(tensor_reshape(codes, 5, SHAPE(1, 1, heads, count, d)), 5,
                                          SHAPE(batch, blocks, heads, count, d));
        logs = tensor_broadcast(tensor_transpose(logs, 3, 4), 5, SHAPE(batch, blocks, heads, size, count));
        bias = tensor_concat(2, (tensor *[]){bias, logs}, 4);
        keys = tensor_concat(2, (tensor *[]){keys, shared}, 3);
        values = tensor_concat(2, (tensor *[]){values, means}, 3);
        span += count;
    }
    struct attention_options options = {
        .scale = 1, .bias = tensor_reshape(bias, 4, SHAPE(batch * blocks, heads, size, span))};
    tensor *o = tensor_attention(block_rows(cut[0]), block_rows(keys), block_rows(values), &options);
    return tensor_reshape(o, 3, SHAPE(batch, length, heads * e));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = heads * key_width(s), e = heads * value_width(s),
            length = x->shape[1];
    int64_t size = option(s, "block"), padding = (size - length % size) % size;
    tensor *n = tensor_rms_norm(x, parameter(s, "input_ln_g", init_constant(1), 1, SHAPE(s->width)), 1e-6);
    n = tensor_add(n, parameter(s, "input_ln_b", init_constant(0), 1, SHAPE(s->width)));
    tensor *kvg = product(s, "kvg_proj", n, d + 2 * e);
    tensor *parts[] = {normalised_heads(s, product(s, "q_proj", n, d)),
                       normalised_heads(s, tensor_slice(kvg, 2, 0, d)),
                       split_heads(tensor_silu(tensor_slice(kvg, 2, d, e)), heads)};
    for (int i = 0; i < 3; i++)
        parts[i] = tensor_contiguous(tensor_transpose(tensor_pad(parts[i], 1, 0, padding, 0), 1, 2));
    tensor *o = tensor_slice(attend(s, parts[0], parts[1], parts[2]), 1, 0, length);
    return product(s, "res_proj", tensor_multiply(o, tensor_silu(tensor_slice(kvg, 2, d + e, e))), s->width);
}

KERNEL(vector_quantized_attention) = {
    .name = "vector-quantized-attention",
    .slot = SLOT_MIXER,
    .variant = "vq-transformer",
    .summary = "softmax attention over keys replaced by codewords, the distant past summed up by code",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 65536, "channels of a key; 0: width / heads"),
                       INTEGER_OPTION("value_dim", 0, 0, 65536, "channels of a value; 0: width / heads"),
                       INTEGER_OPTION("codes", 512, 1, 65536, "codewords of a head"),
                       INTEGER_OPTION("block", 512, 1, 65536, "tokens of a block"),
                       INTEGER_OPTION("memory", 512, 0, 65536,
                                      "tokens before a block that it sees one by one"),
                       REAL_OPTION("base", 1e5, 1, 1e9, "longest wave of the relative positions over 2 pi"),
                       FLAG_OPTION("cache", 1, "older tokens are seen through their codes")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "compressed"}, {"state", "compressed-cache"},
                             {"feature-map", "learned"}, {"position", "relative"}, {"output-gate", "yes"},
                             {"time", "linear"}, {"decode-cost", "replay"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
};
