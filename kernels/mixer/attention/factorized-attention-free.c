/* The dot-product attention-free layer (dot-product-aft, the DAFT layer): the attention-free layer of aft
 * with the table of position biases factorised into two thin embeddings a, b [length, rank]. Per channel,
 *
 *     o_t = sigmoid(q_t) sum_j exp(k_j + w_tj) v_j / sum_j exp(k_j + w_tj),    w_tj = a_t . b_j,    y = o Wo
 *
 * over j <= t, or over all j without `causal`. Biases and projections are linear in the length, time is
 * quadratic.
 *
 * Both sums are products of exp(w) with exp(k) v and exp(k). So that no exponential overflows or makes all of
 * a token's weights vanish, tokens are paired by halving: queries of the right half of a block meet keys of
 * its left half, relative to the largest of these, for blocks of every size; within the smallest blocks pairs
 * are summed one by one. Sums carry what they are relative to. There is no public code; projections are those
 * of aft. DAFT-conv is not here: public sources have its name and purpose, not its equations. */
#include "block/kernel.h"
#include <math.h>

enum { SMALLEST = 8, TILE = 512 }; /* tokens of the smallest blocks, at most; queries weighed at once */

/* sum_j exp(k_j + w_tj - top_t) v_j and the same of ones; top is a constant of the gradient. */
struct sums {
    tensor *values, *weights, *top;
};

static tensor *largest(tensor *x, int axis)
{
    return tensor_stop_gradient(tensor_max(tensor_stop_gradient(x), axis));
}

/* All queries a [.., R, r] with all keys b [.., S, r]; k, v [B, .., S, C]. */
static struct sums weigh(tensor *a, tensor *b, tensor *k, tensor *v)
{
    int rows = a->rank - 2;
    tensor *most = largest(k, k->rank - 2), *key = tensor_exp(tensor_subtract(k, most));
    tensor *value = tensor_multiply(key, v);
    struct pieces values = {0}, weights = {0}, tops = {0};
    for (int64_t start = 0; start < a->shape[rows]; start += TILE) {
        int64_t left = a->shape[rows] - start;
        tensor *w = tensor_matmul_nt(tensor_slice(a, rows, start, left < TILE ? left : TILE), b);
        tensor *level = largest(w, w->rank - 1), *e = tensor_exp(tensor_subtract(w, level));
        add_piece(&values, tensor_matmul(e, value));
        add_piece(&weights, tensor_matmul(e, key));
        add_piece(&tops, tensor_add(level, most));
    }
    return (struct sums){join_pieces(&values, -2), join_pieces(&weights, -2), join_pieces(&tops, -2)};
}

/* Pairs j <= t within blocks: a, b [N, n, r]; k, v [B, N, n, C]. */
static struct sums weigh_blocks(tensor *a, tensor *b, tensor *k, tensor *v)
{
    int64_t batch = k->shape[0], count = k->shape[1], size = k->shape[2], width = k->shape[3];
    tensor *hidden =
        tensor_scale(tensor_affine(lower_triangle(k->graph, size, size, 0), -1, 1), -1e30); /* later keys */
    tensor *w = tensor_reshape(tensor_add(tensor_matmul_nt(a, b), hidden), 4, SHAPE(count, size, size, 1));
    const int64_t *row = SHAPE(batch, count, 1, size, width), *sum = SHAPE(batch, count, size, width);
    tensor *score = tensor_add(tensor_reshape(k, 5, row), w), *top = largest(score, 3);
    tensor *e = tensor_exp(tensor_subtract(score, top));
    return (struct sums){
        .values = tensor_reshape(tensor_sum(tensor_multiply(e, tensor_reshape(v, 5, row)), 3), 4, sum),
        .weights = tensor_reshape(tensor_sum(e, 3), 4, sum),
        .top = tensor_reshape(top, 4, sum),
    };
}

static struct sums join(struct sums x, struct sums y)
{
    tensor *top = tensor_maximum(x.top, y.top);
    tensor *of_x = tensor_exp(tensor_subtract(x.top, top)), *of_y = tensor_exp(tensor_subtract(y.top, top));
    return (struct sums){
        .values = tensor_add(tensor_multiply(x.values, of_x), tensor_multiply(y.values, of_y)),
        .weights = tensor_add(tensor_multiply(x.weights, of_x), tensor_multiply(y.weights, of_y)),
        .top = top,
    };
}

/* The left (0) or right (1) halves of neighbouring blocks: [.., 2 N, n, C] -> [.., N, n, C]. */
static tensor *halves(tensor *x, int side)
{
    return tensor_slice_step(x, x->rank - 3, side, x->shape[x->rank - 3] / 2, 2);
}

/* Two blocks become one: [B, 2 N, n, C] -> [B, N, 2 n, C]. */
static tensor *doubled(tensor *x)
{
    if (x->rank == 3)
        return tensor_reshape(x, 3, SHAPE(x->shape[0] / 2, 2 * x->shape[1], x->shape[2]));
    return tensor_reshape(x, 4, SHAPE(x->shape[0], x->shape[1] / 2, 2 * x->shape[2], x->shape[3]));
}

static struct sums pass_on(struct sums own, tensor *a, tensor *b, tensor *k, tensor *v)
{
    struct sums left = {halves(own.values, 0), halves(own.weights, 0), halves(own.top, 0)};
    struct sums right = {halves(own.values, 1), halves(own.weights, 1), halves(own.top, 1)};
    right = join(right, weigh(halves(a, 1), halves(b, 0), halves(k, 0), halves(v, 0)));
    return (struct sums){
        .values = tensor_concat(2, (tensor *[]){left.values, right.values}, 2),
        .weights = tensor_concat(2, (tensor *[]){left.weights, right.weights}, 2),
        .top = tensor_concat(2, (tensor *[]){left.top, right.top}, 2),
    };
}

static tensor *causal(tensor *a, tensor *b, tensor *k, tensor *v)
{
    int64_t batch = k->shape[0], length = k->shape[1], width = k->shape[2], count = 1, rank = a->shape[1];
    while (count * SMALLEST < length)
        count *= 2;
    int64_t size = (length + count - 1) / count, added = count * size - length;
    tensor *positions[] = {a, b}, *tokens[] = {k, v};
    for (int i = 0; i < 2; i++) {
        positions[i] = tensor_reshape(tensor_pad(positions[i], 0, 0, added, 0), 3, SHAPE(count, size, rank));
        tokens[i] =
            tensor_reshape(tensor_pad(tokens[i], 1, 0, added, 0), 4, SHAPE(batch, count, size, width));
    }
    struct sums sums = weigh_blocks(positions[0], positions[1], tokens[0], tokens[1]);
    for (; count > 1; count /= 2) {
        sums = pass_on(sums, positions[0], positions[1], tokens[0], tokens[1]);
        for (int i = 0; i < 2; i++) {
            positions[i] = doubled(positions[i]);
            tokens[i] = doubled(tokens[i]);
        }
    }
    tensor *o = tensor_divide(sums.values, sums.weights);
    return tensor_slice(tensor_reshape(o, 3, SHAPE(batch, length + added, width)), 1, 0, length);
}

/* The newest `count` queries against all tokens so far, one after the other. */
static tensor *newest(tensor *a, tensor *b, tensor *k, tensor *v, int64_t count)
{
    struct pieces rows = {0};
    for (int64_t t = k->shape[1] - count; t < k->shape[1]; t++) {
        struct sums sums = weigh(tensor_slice(a, 0, t, 1), tensor_slice(b, 0, 0, t + 1),
                                 tensor_slice(k, 1, 0, t + 1), tensor_slice(v, 1, 0, t + 1));
        add_piece(&rows, tensor_divide(sums.values, sums.weights));
    }
    return join_pieces(&rows, 1);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t length = option(s, "length"), rank = option(s, "rank");
    tensor *q = linear(s, "query", x, s->width, true);
    tensor *k = cache_append(s, "k", linear(s, "key", x, s->width, true), 0);
    tensor *v = cache_append(s, "v", linear(s, "value", x, s->width, true), 0), *o;
    tensor *a = parameter(s, "query_position", init_normal(0.1), 2, SHAPE(length, rank));
    tensor *b = parameter(s, "key_position", init_normal(0.1), 2, SHAPE(length, rank));
    if (k->shape[1] > length)
        kernel_fail(s, "it has biases for %lld positions only (option length)", (long long)length);
    a = tensor_slice(a, 0, 0, k->shape[1]);
    b = tensor_slice(b, 0, 0, k->shape[1]);
    if (s->state) {
        o = newest(a, b, k, v, x->shape[1]);
    } else if (option(s, "causal")) {
        o = causal(a, b, k, v);
    } else {
        struct sums sums = weigh(a, b, k, v);
        o = tensor_divide(sums.values, sums.weights);
    }
    return linear(s, "output", tensor_multiply(tensor_sigmoid(q), o), s->width, true);
}

KERNEL(factorized_attention_free) = {
    .name = "factorized-attention-free",
    .slot = SLOT_MIXER,
    .variant = "dot-product-aft",
    .summary = "each channel averages values with weights exp(key + product of two position embeddings)",
    .options = OPTIONS(INTEGER_OPTION("rank", 128, 1, 4096, "channels of the position embeddings"),
                       INTEGER_OPTION("length", 1024, 1, 1 << 16, "positions that have embeddings"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen")),
    .characters = CHARACTERS({"mixing", "vector-state"}, {"normalizer", "sum"}, {"heads", "per-channel"},
                             {"visibility", "all"}, {"state", "cache"}, {"feature-map", "exponential"},
                             {"position", "absolute"}, {"output-gate", "yes"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = causality_by_option,
    .forward = forward,
    .step = forward,
};
