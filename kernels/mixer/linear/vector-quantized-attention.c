/* Transformer-VQ's attention (vq-transformer, eq. 13 to 35; transformer-vq VQAttention): keys are replaced by codewords, so that the
 * distant
 * past is a count and a mean value of each code.
 *
 *     n = RMS norm of x, times g, plus b;   q, k by heads, each normalised and times d^-1/4;   v, gate = silu(n ..)
 *     khat_j = the codeword c_s nearest to k_j,   score_ij = (q_i + u) . khat_j + [i - j <= M] (q_i + w) . R_{i-j},   j <= i
 *     y = (softmax(score) v * gate) Wres,        R_m = sinusoid(m) r_proj,   u, w and R times d^-1/4
 *
 * Tokens go in blocks of L. A block sees its own tokens and the M before it one by one; what is older has one entry for each code, with
 * score
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

/* The index of the nearest code, [B, H, T, 1] for k [B, H, T, d]. */
static tensor *nearest(tensor *k, tensor *codes)
{
    tensor *half = tensor_scale(tensor_transpose(tensor_sum(tensor_square(codes), 2), 1, 2), 0.5);
    return tensor_argmax(tensor_subtract(tensor_matmul_nt(tensor_stop_gradient(k), codes), half), 3);
}

/* [B, H, T, C] */
static tensor *one_hot_codes(tensor *index, tensor *codes)
{
    const int64_t *n = index->shape;
    return tensor_one_hot(tensor_reshape(index, 3, SHAPE(n[0], n[1], n[2])), codes->shape[1]);
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

/* The relative scores of queries [B, n, H, L, d] over spans that end with them, and -inf where they may not look; the first span lacks its
 * first `missing` tokens. */
static tensor *relative_scores(struct scope *s, tensor *q, int64_t span, int64_t missing)
{
    int64_t size = q->shape[3], memory = option(s, "memory"), blocks = q->shape[1];
    tensor *places = tensor_constant(s->graph, NULL, 5, SHAPE(1, 1, 1, size, span));
    tensor *near = tensor_constant(s->graph, NULL, 5, SHAPE(1, 1, 1, size, span));
    tensor *hidden = tensor_constant(s->graph, NULL, 5, SHAPE(1, blocks, 1, size, span));
    for (int64_t n = 0; n < blocks * size * span; n++) {
        int64_t j = n % span, distance = n / span % size + span - size - j, block = n / span / size;
        bool outside = distance < 0 || block * size + j < missing;
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

/* What queries see one by one, and the older past by code: [B, n, H, .., ..], the last two axes rows and channels. */
struct sight {
    tensor *content, *relative; /* queries plus u and plus w */
    tensor *keys, *values, *bias;
    tensor *counts, *sums; /* of older tokens and of their values, by code */
};

/* o [B n, L, H, e]. */
static tensor *look(struct scope *s, struct sight sight, tensor *codes)
{
    const int64_t *n = sight.content->shape; /* B, n, H, L, d */
    int64_t count = codes->shape[1], span = sight.keys->shape[3];
    if (option(s, "cache")) {
        tensor *some = tensor_clamp(sight.counts, 1, INFINITY), *means = tensor_divide(sight.sums, some);
        tensor *logs = tensor_where(sight.counts, tensor_log(some), tensor_scalar(s->graph, -INFINITY));
        tensor *shared = tensor_broadcast(tensor_reshape(codes, 5, SHAPE(1, 1, n[2], count, n[4])), 5,
                                          SHAPE(n[0], n[1], n[2], count, n[4]));
        logs = tensor_broadcast(tensor_transpose(logs, 3, 4), 5, SHAPE(n[0], n[1], n[2], n[3], count));
        sight.bias = tensor_concat(2, (tensor *[]){sight.bias, logs}, 4);
        sight.keys = tensor_concat(2, (tensor *[]){sight.keys, shared}, 3);
        sight.values = tensor_concat(2, (tensor *[]){sight.values, means}, 3);
        span += count;
    }
    struct attention_options options = {
        .scale = 1, .bias = tensor_reshape(sight.bias, 4, SHAPE(n[0] * n[1], n[2], n[3], span))};
    return tensor_attention(block_rows(sight.content), block_rows(sight.keys), block_rows(sight.values),
                            &options);
}

/* [B, T, H e] for q, k, v [B, H, T, ..], T whole blocks. */
static tensor *attend(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t batch = q->shape[0], heads = q->shape[1], length = q->shape[2], d = q->shape[3], e = v->shape[3];
    int64_t size = option(s, "block"), blocks = length / size, memory = option(s, "memory");
    tensor *codes = codebook(s), *one_hot = one_hot_codes(nearest(k, codes), codes);
    tensor *khat = tensor_straight_through(tensor_stop_gradient(tensor_matmul(one_hot, codes)), k);
    tensor *cut[] = {tensor_add(q, head_bias(s, "u")), tensor_add(q, head_bias(s, "v"))};
    for (int i = 0; i < 2; i++) {
        tensor *blocked = tensor_reshape(tensor_contiguous(cut[i]), 5, SHAPE(batch, heads, blocks, size, d));
        cut[i] = tensor_transpose(blocked, 1, 2);
    }
    struct sight sight = {cut[0], cut[1], spans(s, khat), spans(s, v), NULL, NULL, NULL};
    sight.bias = relative_scores(s, cut[1], memory + size, memory);
    if (option(s, "cache")) {
        tensor *ones = tensor_full(s->graph, 1, 4, SHAPE(batch, heads, length, 1));
        sight.counts = older_sums(s, one_hot, ones);
        sight.sums = older_sums(s, one_hot, v);
    }
    return tensor_reshape(look(s, sight, codes), 3, SHAPE(batch, length, heads * e));
}

/* One token [B, H, 1, ..]. The last memory + block tokens are kept as [its codeword, the code's index, v, 1]; at the start of a block the
 * first `block` of them join the older sums. */
static tensor *attend_step(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t batch = q->shape[0], heads = q->shape[1], d = q->shape[3], e = v->shape[3], wide = d + e + 2;
    int64_t size = option(s, "block"), kept = option(s, "memory") + size, count = option(s, "codes");
    tensor *codes = codebook(s), *index = nearest(k, codes);
    tensor *older = state(s, "older", 0, 4, SHAPE(batch, heads, count, e + 1));
    if (s->position % size == 0) {
        tensor *rows = state(s, "rows", 0, 4, SHAPE(batch, kept, heads, wide));
        rows = tensor_transpose(tensor_slice(rows, 1, 0, size), 1, 2);
        tensor *joining = one_hot_codes(tensor_contiguous(tensor_slice(rows, 3, d, 1)), codes);
        older = tensor_add(older, tensor_matmul_tn(joining, tensor_slice(rows, 3, d + 1, e + 1)));
    }
    state_set(s, "older", older);
    tensor *codeword = tensor_matmul(one_hot_codes(index, codes), codes);
    tensor *one = tensor_full(s->graph, 1, 4, SHAPE(batch, heads, 1, 1));
    tensor *row = tensor_concat(4, (tensor *[]){codeword, index, v, one}, 3);
    int64_t seen = option(s, "memory") + s->position % size + 1;
    seen = seen < s->position + 1 ? seen : s->position + 1;
    tensor *rows = recent_rows(s, "rows", tensor_transpose(row, 1, 2), kept, seen);
    rows = tensor_reshape(tensor_transpose(rows, 1, 2), 5, SHAPE(batch, 1, heads, seen, wide));
    older = tensor_reshape(older, 5, SHAPE(batch, 1, heads, count, e + 1));
    tensor *queries[] = {tensor_add(q, head_bias(s, "u")), tensor_add(q, head_bias(s, "v"))};
    for (int i = 0; i < 2; i++)
        queries[i] = tensor_reshape(queries[i], 5, SHAPE(batch, 1, heads, 1, d));
    struct sight sight = {queries[0],
                          queries[1],
                          tensor_slice(rows, 4, 0, d),
                          tensor_slice(rows, 4, d + 1, e),
                          relative_scores(s, queries[1], seen, 0),
                          tensor_slice(older, 4, e, 1),
                          tensor_slice(older, 4, 0, e)};
    return tensor_reshape(look(s, sight, codes), 3, SHAPE(batch, 1, heads * e));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = heads * key_width(s), e = heads * value_width(s),
            length = x->shape[1];
    int64_t size = option(s, "block"), padding = s->state ? 0 : (size - length % size) % size;
    tensor *n = tensor_rms_norm(x, parameter(s, "input_ln_g", init_constant(1), 1, SHAPE(s->width)), 1e-6);
    n = tensor_add(n, parameter(s, "input_ln_b", init_constant(0), 1, SHAPE(s->width)));
    tensor *kvg = product(s, "kvg_proj", n, d + 2 * e);
    tensor *parts[] = {normalised_heads(s, product(s, "q_proj", n, d)),
                       normalised_heads(s, tensor_slice(kvg, 2, 0, d)),
                       split_heads(tensor_silu(tensor_slice(kvg, 2, d, e)), heads)};
    for (int i = 0; i < 3; i++)
        parts[i] = tensor_contiguous(tensor_transpose(tensor_pad(parts[i], 1, 0, padding, 0), 1, 2));
    tensor *o = (s->state ? attend_step : attend)(s, parts[0], parts[1], parts[2]);
    o = tensor_slice(o, 1, 0, length);
    return product(s, "res_proj", tensor_multiply(o, tensor_silu(tensor_slice(kvg, 2, d + e, e))), s->width);
}

static tensor *step(struct scope *s, tensor *x)
{
    return step_by_token(s, x, forward);
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
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = step,
};
