/* Dynamically composed heads (dcmha, section 3; Caiyun-AI/DCFormer DCMHAttention). Scores, and after the
 * softmax weights, of the H heads are mixed by matrices that depend on the query's and on the key's token,
 * each of rank two with a diagonal:
 *
 *     A'_m(t, s) = A_m + sum_i (sum_n A_n a_in(t)) b_im(t) + sum_i (sum_n A_n c_in(s)) e_im(s)
 *         + A_m (f_m(t) + g_m(s)),   i = 1, 2
 *
 * a, b, f are of the query, c, e, g of the key, apart for scores (pre) and weights (post): products of gelu(x
 * W1) with qkw_m, of which a and c have unit mean square over the heads, and tanh(x W2), W1 and W2 columns of
 * dw_m. Weights are not normalised again. Queries and keys may have RMS norms. Queries go in blocks of
 * `chunk`, which see only the keys of their window. */
#include "pair-scores.h"
#include "query-blocks.h"
#include <string.h>

enum { RANK = 2, COMPOSITIONS = 4 }; /* pre of query, pre of key, post of query, post of key */

/* What composes a token's heads: for each composition a or c, b or e and f or g,
 * [B, T, COMPOSITIONS, 2 RANK + 1, H]. */
static tensor *composers(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), hidden = 4 * heads, batch = x->shape[0], length = x->shape[1];
    tensor *w = parameter(s, "dyn_w_proj.dw_m", init_normal(0.02), 2,
                          SHAPE(s->width, COMPOSITIONS * (hidden + heads)));
    tensor *all = tensor_matmul(x, w);
    tensor *h = tensor_gelu(tensor_slice(all, 2, 0, COMPOSITIONS * hidden));
    h = tensor_reshape(h, 4, SHAPE(batch, length, COMPOSITIONS, hidden));
    h = per_head_product(
        h,
        parameter(s, "dyn_w_proj.qkw_m", init_normal(0.02), 3, SHAPE(COMPOSITIONS, hidden, 2 * RANK * heads)),
        false);
    h = tensor_reshape(h, 5, SHAPE(batch, length, COMPOSITIONS, 2 * RANK, heads));
    tensor *into = tensor_rms_norm(tensor_slice(h, 3, 0, RANK), NULL, 1e-6);
    tensor *diagonal = tensor_tanh(tensor_slice(all, 2, COMPOSITIONS * hidden, COMPOSITIONS * heads));
    diagonal = tensor_reshape(diagonal, 5, SHAPE(batch, length, COMPOSITIONS, 1, heads));
    return tensor_concat(3, (tensor *[]){into, tensor_slice(h, 3, RANK, RANK), diagonal}, 3);
}

/* Rows [first, first + count) of one composition, [B, T, rows, H], as [B, rows, H, T]. */
static tensor *rows_of(tensor *composers, int composition, int64_t first, int64_t count)
{
    tensor *rows = tensor_slice(tensor_slice(composers, 2, composition, 1), 3, first, count);
    rows = tensor_reshape(rows, 4, SHAPE(rows->shape[0], rows->shape[1], count, rows->shape[4]));
    return tensor_permute(rows, (const int[]){0, 2, 3, 1});
}

/* What one side adds to A [B, H, T, S]; its numbers vary along axis 2 (queries) or 3 (keys). */
static tensor *one_side(tensor *A, tensor *composers, int composition, int axis)
{
    int64_t batch = A->shape[0], heads = A->shape[1], n = A->shape[axis];
    const int64_t *shape = axis == 2 ? SHAPE(batch, heads, n, 1) : SHAPE(batch, heads, 1, n);
    tensor *sum = NULL;
    for (int i = 0; i <= RANK; i++) {
        bool diagonal = i == RANK;
        tensor *out = tensor_reshape(rows_of(composers, composition, RANK + i, 1), 4, shape), *mixed = A;
        if (!diagonal) {
            tensor *in = tensor_reshape(rows_of(composers, composition, i, 1), 4, shape);
            mixed = tensor_sum(tensor_multiply(A, in), 1);
        }
        tensor *term = tensor_multiply(mixed, out);
        sum = sum ? tensor_add(sum, term) : term;
    }
    return sum;
}

static tensor *compose(tensor *A, tensor *of_queries, tensor *of_keys, int first)
{
    tensor *queries = one_side(A, of_queries, first, 2), *keys = one_side(A, of_keys, first + 1, 3);
    return tensor_add(A, tensor_add(queries, keys));
}

struct sequence {
    struct scope *s;
    tensor *q, *k, *v, *of_queries, *of_keys; /* q, k and v [B, T, H, d] */
};

/* 0 where a query sees a key, else -infinity: query 0 stands at `offset` among the keys. */
static tensor *hidden_pairs(struct graph *graph, int64_t rows, int64_t columns, int64_t offset,
                            int64_t window)
{
    tensor *mask = tensor_constant(graph, NULL, 2, SHAPE(rows, columns));
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            if (j > i + offset || (window && j <= i + offset - window))
                mask->data[i * columns + j] = -INFINITY;
    return mask;
}

static tensor *one_block(void *argument, int64_t start, int64_t rows)
{
    struct sequence *all = argument;
    int64_t window = option(all->s, "window"), before = all->k->shape[1] - all->q->shape[1];
    int64_t end = before + start + rows, first = window ? before + start + 1 - window : 0;
    first = first > 0 ? first : 0;
    tensor *q = tensor_transpose(tensor_slice(all->q, 1, start, rows), 1, 2);
    tensor *k = tensor_transpose(tensor_slice(all->k, 1, first, end - first), 1, 2);
    tensor *v = tensor_transpose(tensor_slice(all->v, 1, first, end - first), 1, 2);
    tensor *of_queries = tensor_slice(all->of_queries, 1, start, rows);
    tensor *of_keys = tensor_slice(all->of_keys, 1, first, end - first);
    tensor *scores = tensor_scale(tensor_matmul_nt(q, k), 1 / sqrt((double)q->shape[3]));
    scores = compose(scores, of_queries, of_keys, 0);
    tensor *mask = hidden_pairs(scores->graph, rows, end - first, before + start - first, window);
    tensor *weights = tensor_softmax(tensor_add(scores, mask), 3);
    return weighted_values(compose(weights, of_queries, of_keys, 2), v);
}

static tensor *normed(struct scope *s, const char *name, tensor *x)
{
    if (!option(s, "query_key_norm"))
        return x;
    return tensor_rms_norm(x, parameter(s, name, init_constant(1), 1, SHAPE(x->shape[3])), 1e-6);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), past = option(s, "window") > 0 ? option(s, "window") - 1 : 0;
    bool alone = option(s, "window") == 1;
    tensor *qkv = linear(s, "wqkv", x, 3 * s->width, false);
    struct sequence all = {s};
    all.q = normed(s, "q_norm.scale", split_heads(tensor_slice(qkv, 2, 0, s->width), heads));
    all.k = normed(s, "k_norm.scale", split_heads(tensor_slice(qkv, 2, s->width, s->width), heads));
    all.v = split_heads(tensor_slice(qkv, 2, 2 * s->width, s->width), heads);
    rotate_query_and_key(s, &all.q, &all.k);
    all.of_queries = all.of_keys = composers(s, x);
    if (!alone) {
        all.k = cache_append(s, "key", all.k, past);
        all.v = cache_append(s, "value", all.v, past);
        all.of_keys = cache_append(s, "composers", all.of_keys, past);
    }
    tensor *y = join_query_blocks(one_block, &all, 0, x->shape[1], option(s, "chunk"));
    return linear(s, "wo", y, s->width, false);
}

static const char *character(const struct scope *s, const char *name)
{
    if (option(s, "window") == 0)
        return NULL;
    static const struct character windowed[] = {
        {"visibility", "window"}, {"state", "window-cache"}, {"time", "linear"}, {"decode-cost", "constant"}};
    for (size_t i = 0; i < sizeof windowed / sizeof *windowed; i++)
        if (strcmp(name, windowed[i].name) == 0)
            return windowed[i].state;
    return NULL;
}

KERNEL(dynamically_composed_attention) = {
    .name = "dynamically-composed-attention",
    .slot = SLOT_MIXER,
    .variant = "dcmha",
    .summary = "scores and weights of heads are mixed by matrices that queries and keys set",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 256, "heads"),
                       INTEGER_OPTION("chunk", 128, 1, 1 << 24, "queries that are taken at once"),
                       INTEGER_OPTION("window", 0, 0, 1 << 30, "newest tokens seen; 0: all"),
                       FLAG_OPTION("query_key_norm", 0, "queries and keys have RMS norms")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = character,
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
