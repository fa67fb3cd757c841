/* The inner models of test-time training, for test-time-training.c, which says what they compute. A
 * mini-batch is a few products of K rows; its inner gradients are written out, so that the gradients of the
 * gradients come from the primitives. */
#ifndef CLADE_KERNELS_INNER_MODEL_H
#define CLADE_KERNELS_INNER_MODEL_H

#include "block/kernel.h"

enum { INNER_MAXIMUM = 2 };

/* The inner model at the start of the present mini-batch, and what its earlier tokens will write. */
struct inner {
    int layers;
    tensor *weight[INNER_MAXIMUM], *bias[INNER_MAXIMUM]; /* [B or 1, H, n, m], [.., 1, m] */
    tensor *inputs[INNER_MAXIMUM];    /* [B, H, held, n] of each layer, NULL if nothing is held */
    tensor *gradients[INNER_MAXIMUM]; /* [B, H, held, m], times the token's learning rate */
    int64_t held;
    tensor *norm_weight, *norm_bias; /* [H, 1, d] */
    tensor *token_rate, *visible;    /* [K, 1]; [K, K], i's token_rate where j <= i, else 0 */
    /* Of all tokens: [B, H, T, d], rate [B, H, T, 1]; target is v - k - norm_bias. */
    tensor *q, *k, *target, *rate;
    int64_t start; /* position of the first token */
};

/* ---- One mini-batch ---- */

static inline tensor *inner_norm(const struct inner *m, tensor *z)
{
    z = tensor_layer_norm(z, NULL, NULL, 1e-6);
    return tensor_add(tensor_multiply(z, m->norm_weight), m->norm_bias);
}

/* rate d (|LN(z) - v + k|^2 / 2) / dz; `target` is v - k without the norm's bias. */
static inline tensor *loss_gradient(const struct inner *m, tensor *z, tensor *target, tensor *rate)
{
    tensor *centred = tensor_subtract(z, tensor_mean(z, 3));
    tensor *factor = tensor_reciprocal_sqrt(tensor_affine(tensor_mean(tensor_square(centred), 3), 1, 1e-6));
    tensor *unit = tensor_multiply(centred, factor);
    tensor *error = tensor_subtract(tensor_multiply(unit, m->norm_weight), target);
    tensor *slope = tensor_multiply(error, m->norm_weight);
    tensor *along = tensor_multiply(unit, tensor_mean(tensor_multiply(slope, unit), 3));
    slope = tensor_subtract(tensor_subtract(slope, tensor_mean(slope, 3)), along);
    return tensor_multiply(slope, tensor_multiply(factor, rate));
}

/* The derivative of the tanh form of gelu, with the published constants. */
static inline tensor *gelu_slope(tensor *x)
{
    tensor *square = tensor_square(x);
    tensor *curve =
        tensor_tanh(tensor_scale(tensor_multiply(x, tensor_affine(square, 0.044715, 1)), 0.79788456));
    tensor *bend = tensor_multiply(x, tensor_affine(square, 0.1070322243, 0.79788456));
    bend = tensor_multiply(bend, tensor_affine(tensor_square(curve), -1, 1));
    return tensor_scale(tensor_add(tensor_affine(curve, 1, 1), bend), 0.5);
}

static inline tensor *layer(const struct inner *m, int which, tensor *u)
{
    return tensor_add(tensor_matmul(u, m->weight[which]), m->bias[which]);
}

static inline tensor *joined(tensor *before, tensor *rows)
{
    return before ? tensor_concat(2, (tensor *[]){before, rows}, 2) : rows;
}

/* Remembers what the rows write into a layer: its inputs and gradients. */
static inline void hold(struct inner *m, int which, tensor *inputs, tensor *gradients)
{
    m->inputs[which] = joined(m->inputs[which], inputs);
    m->gradients[which] = joined(m->gradients[which], gradients);
}

/* The layer as trained up to each of the rows u [B, H, n, .], the newest n of those held. */
static inline tensor *read_layer(const struct inner *m, int which, tensor *u)
{
    int64_t n = u->shape[2], held = m->inputs[which]->shape[2];
    tensor *products = tensor_affine(tensor_matmul_nt(u, m->inputs[which]), 1, 1);
    tensor *visible = tensor_slice(tensor_slice(m->visible, 0, held - n, n), 1, 0, held);
    tensor *written = tensor_matmul(tensor_multiply(products, visible), m->gradients[which]);
    return tensor_subtract(layer(m, which, u), written);
}

/* The weights after the last token of a mini-batch. */
static inline void train(struct inner *m)
{
    tensor *rate = tensor_slice(m->token_rate, 0, -1, 1);
    for (int i = 0; i < m->layers; i++) {
        tensor *gradients = tensor_multiply(m->gradients[i], rate);
        m->weight[i] = tensor_subtract(m->weight[i], tensor_matmul_tn(m->inputs[i], gradients));
        m->bias[i] = tensor_subtract(m->bias[i], tensor_sum(gradients, 2));
        m->inputs[i] = m->gradients[i] = NULL;
    }
    m->held = 0;
}

/* f_i(q_i) of `count` tokens from `first` on, which belong to one mini-batch of K. */
static inline tensor *read_mini_batch(struct inner *m, int64_t first, int64_t count)
{
    tensor *k = tensor_slice(m->k, 2, first, count), *q = tensor_slice(m->q, 2, first, count);
    tensor *target = tensor_slice(m->target, 2, first, count), *rate = tensor_slice(m->rate, 2, first, count);
    tensor *z = layer(m, 0, k), *y;
    if (m->layers == 1) {
        hold(m, 0, k, loss_gradient(m, z, target, rate));
        y = read_layer(m, 0, q);
    } else {
        tensor *a = tensor_gelu_tanh(z), *g = loss_gradient(m, layer(m, 1, a), target, rate);
        tensor *below = tensor_multiply(tensor_matmul_nt(g, m->weight[1]), gelu_slope(z));
        hold(m, 0, k, below);
        hold(m, 1, a, g);
        y = read_layer(m, 1, tensor_gelu_tanh(read_layer(m, 0, q)));
    }
    m->held += count;
    if (m->held == m->token_rate->shape[0])
        train(m);
    return y;
}

/* The mini-batches from number `first` on, cut in TENSOR_MAX_INPUTS parts again and again, so that joining
 * them takes few copies. */
static inline tensor *read_all(struct inner *m, int64_t first, int64_t count)
{
    int64_t size = m->token_rate->shape[0];
    if (count > 1) {
        tensor *parts[TENSOR_MAX_INPUTS];
        int64_t each = (count + TENSOR_MAX_INPUTS - 1) / TENSOR_MAX_INPUTS;
        int n = 0;
        for (int64_t done = 0; done < count; done += each)
            parts[n++] = read_all(m, first + done, count - done < each ? count - done : each);
        return tensor_concat(n, parts, 2);
    }
    int64_t from = first * size - m->start, to = from + size, length = m->q->shape[2];
    from = from > 0 ? from : 0;
    to = to < length ? to : length;
    return read_mini_batch(m, from, to - from);
}

#endif
