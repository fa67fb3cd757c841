/* Monarch Mixer's sequence mixer (m2, section 4, algorithm 1; HazyResearch/m2 MonarchMixerSequenceMixing).
 *
 *     (x1, x2, v) = slices of a short causal convolution of x Win + b
 *     y = (x2 * ((K + bias) * (x1 v))) Wout + b       K a sine network's filter: block/filters.h
 *
 * The paper evaluates the convolution by Monarch products, an exact factorisation of the Fourier transform;
 * here it is the library's. `bidirectional` adds a second filter that reads ahead, its first tap by one
 * position; `residual_conv` a convolution of the input itself behind the gate; with `norm` the input is
 * normalised first. */
#include "block/filters.h"

/* (K + bias) * x with the filters called `name`. */
static tensor *filtered(struct scope *s, const char *name, tensor *x)
{
    struct sine_filter f = {.name = name,
                            .length = option(s, "length"),
                            .embedding = option(s, "embedding"),
                            .hidden = option(s, "hidden"),
                            .depth = 2,
                            .channels = s->width,
                            .frequency = option_real(s, "frequency"),
                            .factor = option_real(s, "factor")};
    tensor *past = sine_filter(s, &f, x->shape[1]), *y;
    if (option(s, "bidirectional")) {
        f.reversed = true;
        y = two_sided_convolution(x, past, sine_filter(s, &f, x->shape[1]));
    } else {
        y = kept_long_convolution(s, name, x, past, 0);
    }
    tensor *bias = parameter(s, part_name(s, "%s.bias", name), init_normal(1), 1, SHAPE(s->width));
    return tensor_add(y, tensor_multiply(x, bias));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t width = s->width;
    if (s->position + x->shape[1] > option(s, "length"))
        kernel_fail(s, "it has filters for %lld positions only (option length)",
                    (long long)option(s, "length"));
    if (option(s, "norm"))
        x = layer_norm(s, "layernorm", x, 1e-5);
    tensor *u = short_convolution(s, "short_filter", linear(s, "in_linear", x, 3 * width, true), 3, true);
    tensor *v = tensor_multiply(tensor_slice(u, 2, 2 * width, width), tensor_slice(u, 2, 0, width));
    tensor *y = tensor_multiply(filtered(s, "filter_fn", v), tensor_slice(u, 2, width, width));
    if (option(s, "residual_conv"))
        y = tensor_add(y, filtered(s, "filter_fn2", x));
    return linear(s, "out_linear", y, width, true);
}

static const char *validate(const struct scope *s)
{
    return option(s, "embedding") % 2 ? NULL : "embedding is odd: the time, then cosines and sines";
}

KERNEL(monarch_convolution) = {
    .name = "monarch-convolution",
    .slot = SLOT_MIXER,
    .variant = "m2",
    .summary = "one gated sequence-long convolution, by products of block-diagonal matrices as published",
    .options = OPTIONS(INTEGER_OPTION("length", 16384, 1, 1 << 24, "positions that filters have"),
                       INTEGER_OPTION("hidden", 64, 1, 4096, "channels of the sine network"),
                       INTEGER_OPTION("embedding", 3, 3, 1025, "channels of the position's embedding"),
                       REAL_OPTION("frequency", 10, 0, 1e4, "of the sines, at first"),
                       REAL_OPTION("factor", 1, 0, 1e4, "multiplies the frequencies"),
                       FLAG_OPTION("bidirectional", 0, "later tokens are seen as well"),
                       FLAG_OPTION("norm", 0, "a layer norm of the input"),
                       FLAG_OPTION("residual_conv", 0, "a long convolution of the input is added")),
    .characters = CHARACTERS({"mixing", "convolution"}, {"normalizer", "none"}, {"heads", "per-channel"},
                             {"visibility", "all"}, {"state", "cache"}, {"decay", "learned"},
                             {"output-gate", "yes"}, {"short-convolution", "yes"}, {"position", "relative"},
                             {"time", "log-linear"}, {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = causality_by_option,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
