/* The quasi-recurrent network (quasi-rnn; salesforce/pytorch-qrnn): gates by a causal convolution, pooling
 * channel by channel.
 *
 *     z = tanh(W_z * x),  f = sigmoid(W_f * x),  o = sigmoid(W_o * x),  i = sigmoid(W_i * x)
 *         * a convolution of `conv` tokens
 *     f-pooling:   h_t = f h_{t-1} + (1 - f) z
 *     fo-pooling:  c_t = f c_{t-1} + (1 - f) z,  h_t = o c_t
 *         ifo-pooling:  c_t = f c_{t-1} + i z,  h_t = o c_t
 *
 * One map of the last `conv` tokens, oldest first; its rows are (z, f, o, i). The recurrence is a scan. */
#include "block/kernel.h"

/* Each token after the `count` - 1 before it, oldest first: [B, T, count D]. */
static tensor *newest_tokens(struct scope *s, tensor *x, int64_t count)
{
    int64_t length = x->shape[1];
    tensor *rows = cache_append(s, "tokens", x, count - 1);
    rows = tensor_pad(rows, 1, count - 1 + length - rows->shape[1], 0, 0);
    return tensor_reshape(tensor_windows(rows, 1, count, 1), 3,
                          SHAPE(x->shape[0], length, count * x->shape[2]));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t width = s->width, taps = option(s, "conv");
    bool fo = option_is(s, "pooling", "fo"), ifo = option_is(s, "pooling", "ifo");
    int64_t parts = ifo ? 4 : fo ? 3 : 2;
    tensor *tokens = taps > 1 ? newest_tokens(s, x, taps) : x;
    tensor *all = linear(s, "linear", tokens, parts * width, true), *gates[4] = {NULL};
    for (int64_t i = 0; i < parts; i++) {
        tensor *part = tensor_slice(all, 2, i * width, width);
        gates[i] = i == 0 ? tensor_tanh(part) : tensor_sigmoid(part);
    }
    tensor *enter = ifo ? gates[3] : tensor_affine(gates[1], -1, 1);
    tensor *c = kept_scan(s, "c", gates[1], tensor_multiply(enter, gates[0]));
    return fo || ifo ? tensor_multiply(gates[2], c) : c;
}

static const char *character(const struct scope *s, const char *name)
{
    return name[0] == 'o' && option_is(s, "pooling", "f") ? "no" : NULL;
}

KERNEL(quasi_recurrent) = {
    .name = "quasi-recurrent",
    .slot = SLOT_MIXER,
    .variant = "quasi-rnn",
    .summary = "gates made by a causal convolution of the input, pooled along time channel by channel",
    .options = OPTIONS(INTEGER_OPTION("conv", 2, 1, 64, "tokens that the gates see"),
                       CHOICE_OPTION("pooling", "fo|f|ifo", "gates of the pooling")),
    .characters = CHARACTERS({"mixing", "vector-state"}, {"normalizer", "none"}, {"heads", "per-channel"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "gated"},
                             {"decay", "data-dependent"}, {"decay-grain", "channel"}, {"numbers", "real"},
                             {"short-convolution", "yes"}, {"output-gate", "yes"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .character = character,
    .forward = forward,
    .step = forward,
};
