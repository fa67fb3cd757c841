/* The Hyena operator (hyena, definition 3.1, section 3.3, algorithms 1 to 3; HazyResearch/safari
 * HyenaOperator).
 *
 *     (x_0, .., x_{n-1}, v) = slices of a short causal convolution of x Win + b,   n = order
 *     v := (K_i + bias_i) * (x_{n-1-i} v),   i = 0 .. n - 2      K_i a sine network's filter: block/filters.h
 *     y = (x_0 v) Wout + b
 *
 * As published the operator has `length` positions and its output at most as many. A step reads all earlier
 * inputs. */
#include "block/filters.h"

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t order = option(s, "order"), width = s->width, length = option(s, "length");
    if (s->state && s->position + x->shape[1] > length)
        kernel_fail(s, "it has filters for %lld positions only (option length)", (long long)length);
    if (x->shape[1] > length)
        x = tensor_slice(x, 1, 0, length);
    tensor *u = linear(s, "in_proj", x, (order + 1) * width, true);
    u = short_convolution(s, "short_filter", u, option(s, "conv"), true);
    struct sine_filter f = {.name = "filter_fn",
                            .length = length,
                            .embedding = option(s, "embedding"),
                            .hidden = option(s, "hidden"),
                            .depth = option(s, "depth"),
                            .channels = width * (order - 1),
                            .frequency = option_real(s, "frequency"),
                            .factor = 1,
                            .shift = option_real(s, "shift")};
    tensor *filters = sine_filter(s, &f, x->shape[1]);
    tensor *bias = parameter(s, "filter_fn.bias", init_normal(1), 1, SHAPE(f.channels));
    tensor *v = tensor_slice(u, 2, order * width, width);
    for (int64_t i = 0; i < order - 1; i++) {
        v = tensor_multiply(v, tensor_slice(u, 2, (order - 1 - i) * width, width));
        tensor *filter = tensor_slice(filters, 0, i * width, width);
        tensor *mixed = kept_long_convolution(s, part_name(s, "v.%lld", (long long)i), v, filter, 0);
        v = tensor_add(mixed, tensor_multiply(v, tensor_slice(bias, 0, i * width, width)));
    }
    return linear(s, "out_proj", tensor_multiply(v, tensor_slice(u, 2, 0, width)), width, true);
}

static const char *validate(const struct scope *s)
{
    return option(s, "embedding") % 2 ? NULL : "embedding is odd: the time, then cosines and sines";
}

KERNEL(implicit_long_convolution) = {
    .name = "implicit-long-convolution",
    .slot = SLOT_MIXER,
    .variant = "hyena",
    .summary = "gates and sequence-long causal convolutions in turn, with filters made by a sine network",
    .options = OPTIONS(INTEGER_OPTION("length", 16384, 1, 1 << 24, "positions that filters have"),
                       INTEGER_OPTION("order", 2, 2, 16, "gates; one convolution fewer"),
                       INTEGER_OPTION("hidden", 64, 1, 4096, "channels of the sine network"),
                       INTEGER_OPTION("embedding", 3, 3, 1025, "channels of the position's embedding"),
                       INTEGER_OPTION("depth", 2, 0, SINE_FILTER_MOST_DEPTH,
                                      "inner maps of the sine network"),
                       REAL_OPTION("frequency", 1, 0, 1e4, "of the sines, at first"),
                       REAL_OPTION("shift", 0, -1e3, 1e3, "added to the filters' window"),
                       INTEGER_OPTION("conv", 3, 1, 64, "taps of the short convolution")),
    .characters = CHARACTERS({"mixing", "convolution"}, {"normalizer", "none"}, {"heads", "per-channel"},
                             {"visibility", "all"}, {"state", "cache"}, {"decay", "learned"},
                             {"output-gate", "yes"}, {"short-convolution", "yes"}, {"position", "relative"},
                             {"time", "log-linear"}, {"decode-cost", "linear"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
