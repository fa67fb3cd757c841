/* Based's convolution layer (based; HazyResearch/based BaseConv): u = x Win + b halved into c and g, y =
 * (silu(conv(c)) * g) Wout + b, with a causal depthwise convolution of a few taps. */
#include "block/kernel.h"

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t inner = (int64_t)(option_real(s, "expand") * (double)s->width);
    bool bias = option(s, "bias");
    tensor *u = linear(s, "in_proj", x, 2 * inner, bias);
    tensor *c = short_convolution(s, "conv.conv", tensor_slice(u, 2, 0, inner), option(s, "conv"),
                                  option(s, "conv_bias"));
    return linear(s, "out_proj", tensor_multiply(tensor_silu(c), tensor_slice(u, 2, inner, inner)), s->width,
                  bias);
}

KERNEL(gated_short_convolution) = {
    .name = "gated-short-convolution",
    .slot = SLOT_MIXER,
    .variant = "based",
    .summary = "a short causal convolution with a multiplicative gate",
    .options = OPTIONS(INTEGER_OPTION("conv", 3, 1, 64, "taps"),
                       REAL_OPTION("expand", 1, 0.01, 64, "inner channels over width"),
                       FLAG_OPTION("bias", 1, "projections have biases"),
                       FLAG_OPTION("conv_bias", 0, "the convolution has one")),
    .characters = CHARACTERS({"mixing", "convolution"}, {"normalizer", "none"}, {"heads", "per-channel"},
                             {"visibility", "window"}, {"state", "window-cache"}, {"output-gate", "yes"},
                             {"short-convolution", "yes"}, {"time", "linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .forward = forward,
    .step = forward,
};
