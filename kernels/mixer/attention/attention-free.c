/* The attention-free layer (aft, section 3, eq. 2; labml_nn's AFTLocal). Per channel, with position biases w
 * [length, length],
 *
 *     o_t = sigmoid(q_t) sum_{j<=t} exp(k_j + w_tj) v_j / sum_{j<=t} exp(k_j + w_tj),    y = o Wo
 *
 * w counts only where |t - j| < window; farther keys are seen with bias 0. Full: a window of the whole
 * length; simple: none. exp(w) = 1 + (exp(w) - 1): the ones are running sums, the rest a band, multiplied in
 * blocks of the window's size. Sums are relative to the running maximum of the keys at the end of each block,
 * a constant of the gradient. */
#include "block/kernel.h"
#include <math.h>
#include <string.h>

/* exp(w) - 1 for the queries of each block and the keys of it and of the block before:
 * [blocks, size, 2 size]. */
static tensor *bands(struct scope *s, int64_t size, int64_t blocks, int64_t window)
{
    int64_t length = option(s, "length"), end = blocks * size;
    tensor *w = parameter(s, "pos_bias", init_normal(0.02), 2, SHAPE(length, length));
    struct pieces rows = {0};
    if (end > length)
        w = tensor_pad(tensor_pad(w, 0, 0, end - length, 0), 1, 0, end - length, 0);
    tensor *mask = tensor_constant(s->graph, NULL, 2, SHAPE(size, 2 * size));
    for (int64_t i = 0; i < size; i++)
        for (int64_t j = 0; j <= size + i; j++)
            mask->data[i * 2 * size + j] = size + i - j < window ? 1 : 0;
    for (int64_t block = 0; block < blocks; block++) {
        tensor *own = tensor_slice(w, 0, block * size, size);
        tensor *band = block ? tensor_slice(own, 1, (block - 1) * size, 2 * size)
                             : tensor_pad(tensor_slice(own, 1, 0, size), 1, size, 0, 0);
        add_piece(&rows, tensor_reshape(band, 3, SHAPE(1, size, 2 * size)));
    }
    return tensor_multiply(tensor_expm1(join_pieces(&rows, 0)), mask);
}

/* x [B, T, C] in blocks with the block before each, `outside` beyond its ends: [B, blocks, 2 size, C]. */
static tensor *pairs(tensor *x, int64_t size, int64_t blocks, double outside)
{
    return tensor_windows(tensor_pad(x, 1, size, blocks * size - x->shape[1], outside), 1, 2 * size, size);
}

/* The running maximum at the end of each block: [B, blocks, 1, C]. */
static tensor *block_ends(tensor *maximum, int64_t size, int64_t blocks)
{
    int64_t batch = maximum->shape[0], length = maximum->shape[1], width = maximum->shape[2];
    tensor *ends = maximum;
    if (length % size) {
        tensor *last = tensor_slice(maximum, 1, -1, 1);
        ends = tensor_concat(
            2, (tensor *[]){maximum, tensor_broadcast(last, 3, SHAPE(batch, blocks * size - length, width))},
            1);
    }
    return tensor_reshape(tensor_slice_step(ends, 1, size - 1, blocks, size), 4,
                          SHAPE(batch, blocks, 1, width));
}

/* Sums with the band's share in them. Where all weights of a token vanish, beside a later key of its block or
 * by cancellation, its running average stands in. */
static tensor *corrected(struct running_average sums, tensor *values, tensor *weights)
{
    const double tiny = sizeof(real) == sizeof(double) ? 1e-140 : 1e-30;
    tensor *average = tensor_scale(tensor_divide(sums.values, sums.weights), tiny);
    return tensor_divide(tensor_add(values, average), tensor_affine(weights, 1, tiny));
}

/* Running sums with the band on top, all relative to exp of the maximum up to the end of each block. */
static tensor *mix(struct scope *s, tensor *k, tensor *v, int64_t window)
{
    int64_t batch = k->shape[0], length = k->shape[1], width = k->shape[2];
    struct running_average sums = kept_running_average(s, k, v, NULL);
    if (window == 0)
        return tensor_divide(sums.values, sums.weights);
    int64_t size = window < length ? window : length, blocks = (length + size - 1) / size;
    tensor *scale = block_ends(sums.maximum, size, blocks);
    tensor *weight = tensor_exp(tensor_subtract(pairs(k, size, blocks, -1e30), scale)),
           *band = bands(s, size, blocks, window);
    tensor *near_values = tensor_matmul(band, tensor_multiply(weight, pairs(v, size, blocks, 0)));
    tensor *near_weights = tensor_matmul(band, weight);
    tensor *rows = tensor_repeat_interleave(tensor_reshape(scale, 3, SHAPE(batch, blocks, width)), 1, size);
    tensor *shrink = tensor_exp(tensor_subtract(sums.maximum, tensor_slice(rows, 1, 0, length)));
    near_values =
        tensor_slice(tensor_reshape(near_values, 3, SHAPE(batch, blocks * size, width)), 1, 0, length);
    near_weights =
        tensor_slice(tensor_reshape(near_weights, 3, SHAPE(batch, blocks * size, width)), 1, 0, length);
    return corrected(sums, tensor_add(tensor_multiply(sums.values, shrink), near_values),
                     tensor_add(tensor_multiply(sums.weights, shrink), near_weights));
}

/* One token: its band over the last keys and values, which are kept. */
static tensor *mix_step(struct scope *s, tensor *k, tensor *v, int64_t window)
{
    int64_t length = option(s, "length"), t = s->position;
    int64_t kept = window < length ? window : length, seen = t + 1 < kept ? t + 1 : kept;
    struct running_average sums = kept_running_average(s, k, v, NULL);
    tensor *w = parameter(s, "pos_bias", init_normal(0.02), 2, SHAPE(length, length));
    tensor *band = tensor_expm1(tensor_slice(tensor_slice(w, 0, t, 1), 1, t + 1 - seen, seen));
    tensor *weight = tensor_exp(tensor_subtract(recent_rows(s, "k", k, kept, seen), sums.maximum));
    tensor *value = tensor_multiply(weight, recent_rows(s, "v", v, kept, seen));
    return corrected(sums, tensor_add(sums.values, tensor_matmul(band, value)),
                     tensor_add(sums.weights, tensor_matmul(band, weight)));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t window = option(s, "window");
    if (window && s->position + x->shape[1] > option(s, "length"))
        kernel_fail(s, "it has biases for %lld positions only (option length)",
                    (long long)option(s, "length"));
    tensor *q = linear(s, "query", x, s->width, true), *k = linear(s, "key", x, s->width, true);
    tensor *v = linear(s, "value", x, s->width, true);
    tensor *o = window && s->state ? mix_step(s, k, v, window) : mix(s, k, v, window);
    return linear(s, "output", tensor_multiply(tensor_sigmoid(q), o), s->width, true);
}

static tensor *step(struct scope *s, tensor *x)
{
    return option(s, "window") ? step_by_token(s, x, forward) : forward(s, x);
}

static const char *character(const struct scope *s, const char *name)
{
    return strcmp(name, "state") == 0 && option(s, "window") == 0 ? "vector" : NULL;
}

KERNEL(attention_free) = {
    .name = "attention-free",
    .slot = SLOT_MIXER,
    .variant = "aft",
    .summary =
        "each channel averages values with weights exp(key + learned position bias), gated by the query",
    .options = OPTIONS(INTEGER_OPTION("window", 128, 0, 1 << 20,
                                      "distances with a position bias; 0: none (AFT-simple)"),
                       INTEGER_OPTION("length", 1024, 1, 1 << 16, "positions that have biases")),
    .characters = CHARACTERS({"mixing", "vector-state"}, {"normalizer", "sum"}, {"heads", "per-channel"},
                             {"visibility", "all"}, {"state", "cache"}, {"feature-map", "exponential"},
                             {"position", "absolute"}, {"output-gate", "yes"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .character = character,
    .forward = forward,
    .step = step,
};
