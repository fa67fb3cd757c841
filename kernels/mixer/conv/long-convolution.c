/* LongConv (long-conv; HazyResearch/safari LongConv with LongConvKernel). The filter is a parameter k [C, H,
 * length], C channels to each of the H of the input, whose small taps vanish:
 *
 *     K = relu(|k| - threshold) sign(k)       after a moving average of `smoothing` taps, if asked
 *     y = GLU(gelu(K * x + D x) Wo + bo)
 *
 * `bidirectional`: a second half of the channels reads ahead, its first tap by one position. `wrap` is the
 * published code for inputs shorter than `length`: the circle of the transform, of twice the input, keeps all
 * taps that fit and those past the input look ahead. Without it the filter is cut to the input, as the paper
 * has it. */
#include "block/filters.h"
#include <string.h>

static int64_t directions(const struct scope *s)
{
    return option(s, "bidirectional") ? 2 : 1;
}

/* [directions, C H, ..], smoothed and shrunk, the first `taps` of it if there are more. */
static tensor *filter(struct scope *s, int64_t taps)
{
    int64_t length = option(s, "length"), all = directions(s) * option(s, "channels"),
            w = option(s, "smoothing");
    tensor *k = parameter(s, "kernel.kernel", init_normal(0.25), 3, SHAPE(all, s->width, length));
    if (taps + w < length)
        k = tensor_slice(k, 2, 0, taps + w);
    if (w) {
        tensor *windows = tensor_windows(tensor_pad(k, 2, w / 2, w / 2, 0), 2, w, 1);
        k = tensor_reshape(tensor_mean(windows, 3), 3, SHAPE(all, s->width, windows->shape[2]));
    }
    if (taps < k->shape[2])
        k = tensor_slice(k, 2, 0, taps);
    tensor *size = tensor_relu(tensor_affine(tensor_absolute(k), 1, -option_real(s, "threshold")));
    return tensor_reshape(tensor_multiply(size, tensor_sign(k)), 3,
                          SHAPE(directions(s), option(s, "channels") * s->width, k->shape[2]));
}

static tensor *direction(tensor *filter, int64_t which)
{
    return tensor_reshape(tensor_slice(filter, 0, which, 1), 2, SHAPE(filter->shape[1], filter->shape[2]));
}

/* Taps j < circle of one filter, zeros after its end. */
static tensor *around(tensor *filter, int64_t before, int64_t circle)
{
    int64_t size = filter->shape[1] + before;
    filter = tensor_pad(filter, 1, before, size < circle ? circle - size : 0, 0);
    return tensor_slice(filter, 1, 0, circle);
}

/* The published transform of length T + min(T, length), whatever wraps. */
static tensor *wrapped(struct scope *s, tensor *x, tensor *k)
{
    int64_t length = x->shape[1],
            circle = length + (length < option(s, "length") ? length : option(s, "length"));
    tensor *taps = around(direction(k, 0), 0, circle);
    if (directions(s) == 2)
        taps = tensor_add(taps, around(tensor_flip(direction(k, 1), 1), length, circle));
    tensor *y = tensor_long_convolution(tensor_pad(x, 1, 0, circle - length, 0), taps, true);
    return tensor_slice(y, 1, 0, length);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t channels = option(s, "channels"), most = option(s, "length") + 1;
    tensor *k = filter(s, option(s, "wrap") ? most : s->position + x->shape[1]), *y;
    tensor *copies = channels > 1 ? tensor_repeat(x, 2, channels) : x;
    if (option(s, "wrap"))
        y = wrapped(s, copies, k);
    else if (directions(s) == 2)
        y = two_sided_convolution(copies, direction(k, 0), direction(k, 1));
    else
        y = kept_long_convolution(s, "x", copies, direction(k, 0), most);
    tensor *D = parameter(s, "D", init_normal(1), 2, SHAPE(channels, s->width));
    y = tensor_add(y, tensor_multiply(copies, tensor_reshape(D, 1, SHAPE(channels * s->width))));
    y = linear(s, "output_linear.0", tensor_gelu(y), 2 * s->width, true);
    return tensor_multiply(tensor_slice(y, 2, 0, s->width),
                           tensor_sigmoid(tensor_slice(y, 2, s->width, s->width)));
}

static tensor *step(struct scope *s, tensor *x)
{
    return option(s, "wrap") ? replay_step(s, x) : forward(s, x);
}

static const char *character(const struct scope *s, const char *name)
{
    if (strcmp(name, "causality") == 0)
        return option(s, "bidirectional") ? "bidirectional" : option(s, "wrap") ? "approximate" : NULL;
    return strcmp(name, "decode-cost") == 0 && option(s, "wrap") ? "replay" : NULL;
}

KERNEL(long_convolution) = {
    .name = "long-convolution",
    .slot = SLOT_MIXER,
    .variant = "long-conv",
    .summary = "a freely learned filter as long as the sequence, whose small taps are cut to zero",
    .options =
        OPTIONS(INTEGER_OPTION("length", 8192, 1, 1 << 24, "taps of the filter"),
                INTEGER_OPTION("channels", 1, 1, 64, "filters to each channel of the input"),
                REAL_OPTION("threshold", 0.1, 0, 1e6, "by which taps shrink"),
                INTEGER_OPTION("smoothing", 0, 0, 1 << 16, "taps that a moving average joins; 0: none"),
                FLAG_OPTION("bidirectional", 0, "later tokens are seen as well"),
                FLAG_OPTION("wrap", 0, "taps past a short input wrap around, as in the published code")),
    .characters = CHARACTERS({"mixing", "convolution"}, {"normalizer", "none"}, {"heads", "per-channel"},
                             {"visibility", "all"}, {"state", "cache"}, {"output-gate", "no"},
                             {"position", "relative"}, {"time", "log-linear"}, {"decode-cost", "linear"},
                             {"causality", "causal"}),
    .character = character,
    .forward = forward,
    .step = step,
};
