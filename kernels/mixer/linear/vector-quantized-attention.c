/* Transformer-VQ's attention (vq-transformer, section 3; transformer-vq VQAttention): keys are replaced by
 * codewords, so that the distant past is a count and a mean value of each code.
 *
 *     n = RMS norm of x, times g, plus b;   q, k by heads, each normalised and times d^-1/4;
 *         v, gate = silu(n ..)
 *     khat_j = the codeword c_s nearest to k_j,   score_ij = (q_i + u) . khat_j
 *         + [i - j <= M] (q_i + w) . R_{i-j},   j <= i
 *     y = (softmax(score) v * gate) Wres,        R_m = sinusoid(m) r_proj,   u, w and R times d^-1/4
 *
 * Tokens go in blocks of L. A block sees its own tokens and the M before it one by one; what is older has one
 * entry for each code, with score (q_i + u) . c_s + log count_s and the mean of its values. Matrices are
 * [in, out]. The gradient of khat goes to k. */
#include "codebook.h"

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
    return tensor_matmul(
        x, parameter(s, name, init_uniform(-bound, bound), 2, SHAPE(tensor_length(x, -1), outputs)));
}

static double key_scale(const struct scope *s)
{
    return pow((double)head_dim(s), -0.25);
}

static tensor *normalised_heads(struct scope *s, tensor *x)
{
    return tensor_scale(tensor_rms_norm(split_heads(x, option(s, "heads")), NULL, 1e-6), key_scale(s));
}

/* R for the distances up to M that so many tokens have, then zeros for all beyond: [H, at most M + 2, d]. */
static tensor *distances(struct scope *s, int64_t tokens)
{
    int64_t heads = option(s, "heads");
    int64_t count = tokens <= option(s, "memory") ? tokens : option(s, "memory") + 1;
    struct sinusoids rising = {.step = 1, .base = option_real(s, "base"), .halves = true};
    tensor *R =
        tensor_scale(product(s, "r_proj", sinusoids(s, count, rising), heads * head_dim(s)), key_scale(s));
    R = tensor_pad(tensor_reshape(R, 3, SHAPE(count, heads, head_dim(s))), 0, 0, 1, 0);
    return tensor_transpose(R, 0, 1);
}

/* q [.., H, d] plus a bias of each head. */
static tensor *with_bias(struct scope *s, const char *name, tensor *q)
{
    int64_t heads = option(s, "heads"), d = head_dim(s);
    tensor *bias = parameter(s, name, init_constant(0), 1, SHAPE(heads * d));
    return tensor_add(q, tensor_scale(tensor_reshape(bias, 2, SHAPE(heads, d)), key_scale(s)));
}

/* What the queries of each of N blocks see: tokens one by one, the queries' own last, and what is older by
 * code. */
struct sight {
    tensor *queries;       /* [N, L, H, d] */
    tensor *keys, *values; /* [N, S, H, ..] */
    tensor *absent;        /* [N, 1, 1, S]: -inf where there is no token */
    tensor *counts, *sums; /* [N, C, H, ..]: of older tokens and their values; NULL: there are none */
};

static struct sight some_blocks(struct sight sight, int64_t first, int64_t count)
{
    tensor **parts[] = {&sight.queries, &sight.keys,   &sight.values,
                        &sight.absent,  &sight.counts, &sight.sums};
    for (int i = 0; i < 6; i++)
        *parts[i] = *parts[i] ? tensor_slice(*parts[i], 0, first, count) : NULL;
    return sight;
}

/* o [N, L, H, e], block by block, so that the relative scores of one are there at once. */
static tensor *look(struct scope *s, struct sight sight, tensor *codes, tensor *R)
{
    tensor *q = sight.queries, *bias = sight.absent;
    int64_t blocks = q->shape[0], heads = q->shape[2], d = q->shape[3], span = sight.keys->shape[1];
    if (blocks > 1 && q->shape[1] > 1) {
        tensor *first = look(s, some_blocks(sight, 0, blocks / 2), codes, R);
        tensor *rest = look(s, some_blocks(sight, blocks / 2, blocks - blocks / 2), codes, R);
        return tensor_concat(2, (tensor *[]){first, rest}, 0);
    }
    tensor *relative = tensor_matmul_nt(tensor_transpose(with_bias(s, "v", q), 1, 2), R);
    if (sight.counts) {
        int64_t count = codes->shape[1];
        tensor *some = tensor_clamp(sight.counts, 1, INFINITY), *means = tensor_divide(sight.sums, some);
        tensor *logs = tensor_where(sight.counts, tensor_log(some), tensor_scalar(s->graph, -INFINITY));
        tensor *shared = tensor_broadcast(tensor_transpose(codes, 0, 1), 4, SHAPE(blocks, count, heads, d));
        bias = tensor_broadcast(bias, 4, SHAPE(blocks, heads, 1, span));
        bias = tensor_concat(2, (tensor *[]){tensor_permute(logs, (const int[]){0, 2, 3, 1}), bias}, 3);
        sight.keys = tensor_concat(2, (tensor *[]){shared, sight.keys}, 1);
        sight.values = tensor_concat(2, (tensor *[]){means, sight.values}, 1);
    }
    struct attention_options options = {.scale = 1, .causal = true, .bias = bias, .distance_bias = relative};
    options.offset = sight.keys->shape[1] - q->shape[1];
    return tensor_attention(with_bias(s, "u", q), sight.keys, sight.values, &options);
}

/* o [B, T, H, e] for q, k, v [B, T, H, ..]. */
static tensor *attend(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t batch = q->shape[0], length = q->shape[1];
    struct cut cut = cut_tokens(length, option(s, "block"), option(s, "memory"));
    tensor *codes = codebook(s, q->shape[3], key_scale(s)), *index = nearest_code(k, codes);
    tensor *khat = tensor_straight_through(codewords(index, codes), k);
    struct sight sight = {.queries = own_tokens(cut, q),
                          .keys = spans(cut, khat),
                          .values = spans(cut, v),
                          .absent = absent_tokens(s->graph, cut, batch)};
    if (option(s, "cache") && option(s, "memory") < (cut.count - 1) * cut.size) {
        tensor *ones = tensor_full(s->graph, 1, 4, SHAPE(batch, length, q->shape[2], 1));
        sight.counts = older_sums(s, cut, ones, index);
        sight.sums = older_sums(s, cut, v, index);
    }
    return joined_blocks(cut, look(s, sight, codes, distances(s, cut.memory + cut.size)), batch);
}

/* One token [B, 1, H, ..]. The last memory + block tokens are kept as [its codeword, the code's index, v, 1];
 * at the start of a block the first `block` of them join the older sums. */
static tensor *attend_step(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t batch = q->shape[0], heads = q->shape[2], d = q->shape[3], e = v->shape[3], wide = d + e + 2;
    int64_t size = option(s, "block"), memory = option(s, "memory"), count = option(s, "codes");
    tensor *codes = codebook(s, d, key_scale(s)), *index = nearest_code(k, codes);
    tensor *older = state(s, "older", 0, 4, SHAPE(batch, count, heads, e + 1));
    if (s->position % size == 0) {
        tensor *rows =
            tensor_slice(state(s, "rows", 0, 4, SHAPE(batch, memory + size, heads, wide)), 1, 0, size);
        tensor *joining =
            tensor_scatter_add(tensor_slice(rows, 3, d + 1, e + 1), 1, tensor_slice(rows, 3, d, 1), count);
        older = tensor_add(older, joining);
    }
    state_set(s, "older", older);
    tensor *one = tensor_full(s->graph, 1, 4, SHAPE(batch, 1, heads, 1));
    tensor *row = tensor_concat(4, (tensor *[]){codewords(index, codes), index, v, one}, 3);
    int64_t before = s->position < memory + s->position % size ? s->position : memory + s->position % size;
    tensor *rows = recent_rows(s, "rows", row, memory + size, before + 1);
    struct sight sight = {.queries = q,
                          .keys = tensor_slice(rows, 3, 0, d),
                          .values = tensor_slice(rows, 3, d + 1, e),
                          .absent = tensor_full(s->graph, 0, 4, SHAPE(batch, 1, 1, before + 1))};
    if (option(s, "cache")) {
        sight.counts = tensor_slice(older, 3, e, 1);
        sight.sums = tensor_slice(older, 3, 0, e);
    }
    return look(s, sight, codes, distances(s, before + 1));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = heads * head_dim(s),
            e = heads * option_or(s, "value_dim", s->width / heads);
    tensor *n = tensor_rms_norm(x, parameter(s, "input_ln_g", init_constant(1), 1, SHAPE(s->width)), 1e-6);
    n = tensor_add(n, parameter(s, "input_ln_b", init_constant(0), 1, SHAPE(s->width)));
    tensor *kvg = product(s, "kvg_proj", n, d + 2 * e);
    tensor *q = normalised_heads(s, product(s, "q_proj", n, d));
    tensor *k = normalised_heads(s, tensor_slice(kvg, 2, 0, d));
    tensor *v = split_heads(tensor_silu(tensor_slice(kvg, 2, d, e)), heads);
    tensor *o = merge_heads((s->state ? attend_step : attend)(s, q, k, v));
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
