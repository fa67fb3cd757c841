/* Skip-attention (skip-attention; Qualcomm-AI-research/skip-attention LeFF). A layer computes no attention;
 * what the attention of the layer before gave, x, passes through a light function that stands for it:
 *
 *     h = gelu(x W1 + b1),   g = gelu(5 x 5 depthwise convolution of h over the grid of tokens),
 *         z = g W2 + b2
 *     y = z * sigmoid(convolution of 3 taps over channels of the mean of z over tokens)
 *
 * Tokens are rows of a square of `grid` tokens a side, or one row. Without an attention before it x is the
 * layer's own input. The convolution is one over rows for each of the five rows it reaches. */
#include "../grid.h"

enum { TAPS = 5 };

/* h [B, T, C] over a grid of `rows` rows. */
static tensor *over_grid(struct scope *s, tensor *h, int64_t rows)
{
    struct grid grid = {rows, h->shape[1] / rows};
    int64_t channels = h->shape[2];
    tensor *weight = parameter(s, "dwconv.0.weight", init_linear(), 4, SHAPE(channels, 1, TAPS, TAPS));
    return grid_convolution(h, grid, tensor_reshape(weight, 3, SHAPE(channels, TAPS, TAPS)),
                            parameter(s, "dwconv.0.bias", init_constant(0), 1, SHAPE(channels)));
}

/* Each channel's gate, of its mean and that of its two neighbours. */
static tensor *channel_gate(struct scope *s, tensor *z)
{
    tensor *taps =
        tensor_reshape(parameter(s, "eca.conv.weight", init_linear(), 3, SHAPE(1, 1, 3)), 1, SHAPE(3));
    tensor *mean = tensor_pad(tensor_mean(z, 1), 2, 1, 1, 0), *sum = NULL;
    for (int64_t i = 0; i < 3; i++) {
        tensor *term = tensor_multiply(tensor_slice(mean, 2, i, s->width), tensor_slice(taps, 0, i, 1));
        sum = sum ? tensor_add(sum, term) : term;
    }
    return tensor_sigmoid(sum);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t side = option(s, "grid"), length = x->shape[1];
    if (side && side * side != length)
        kernel_fail(s, "%lld tokens do not fill its grid of %lld x %lld", (long long)length, (long long)side,
                    (long long)side);
    tensor *before = s->layer > 0 ? layer_find(s, s->layer - 1, "attention") : NULL;
    tensor *h =
        tensor_gelu(linear(s, "linear1.0", before ? before : x, option_or(s, "hidden", 2 * s->width), true));
    h = tensor_gelu(over_grid(s, h, side ? side : 1));
    tensor *z = linear(s, "linear2.0", h, s->width, true);
    tensor *y = tensor_multiply(z, channel_gate(s, z));
    layer_leave(s, "attention", y);
    return y;
}

KERNEL(attention_reuse) = {
    .name = "attention-reuse",
    .slot = SLOT_MIXER,
    .variant = "skip-attention",
    .summary = "a convolutional function of the attention of the layer before stands for this layer's own",
    .options = OPTIONS(INTEGER_OPTION("grid", 0, 0, 1 << 12, "tokens a side of their square; 0: one row"),
                       INTEGER_OPTION("hidden", 0, 0, 1 << 24, "channels inside; 0: 2 * width")),
    .characters = CHARACTERS({"mixing", "convolution"}, {"visibility", "all"}, {"heads", "per-channel"},
                             {"normalizer", "none"}, {"time", "linear"}, {"causality", "bidirectional"}),
    .forward = forward,
};
