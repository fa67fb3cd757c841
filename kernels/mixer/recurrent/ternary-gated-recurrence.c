/* MatMul-free LM's token mixer (matmul-free, section 3.3.1; ridgerchu/matmulfreellm HGRNBitAttention): an
 * HGRN with ternary weights.
 *
 *     f = sigmoid(B_f(x)),  i = silu(B_i(x)) (1 - f),  h_t = f_t h_{t-1} + i_t,
 *         y = B_o(RMSNorm(B_g(x)) * silu(h))
 *
 * B are ternary_linear(). With the further input (or parameter, option lower_bound) "lower_bound" [D] and a
 * layer after the first f becomes lb + (1 - lb) f. The short convolutions stand before the projections
 * (shared) or after those of i and f. */
#include "block/kernel.h"

static tensor *lower_bound(struct scope *s, int64_t inner)
{
    tensor *given = further_input(s, "lower_bound");
    if (given)
        return given;
    return option(s, "lower_bound") ? parameter(s, "lower_bound", init_constant(0), 1, SHAPE(inner)) : NULL;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t inner = option(s, "expand") * s->width, taps = option(s, "conv");
    bool shared = option(s, "shared_conv");
    if (taps && shared)
        x = tensor_silu(short_convolution(s, "h_conv1d", x, taps, false));
    tensor *i = ternary_linear(s, "i_proj", x, inner), *f = ternary_linear(s, "f_proj", x, inner);
    if (taps && !shared) {
        i = tensor_silu(short_convolution(s, "i_conv1d", i, taps, false));
        f = tensor_silu(short_convolution(s, "f_conv1d", f, taps, false));
    }
    f = tensor_sigmoid(f);
    tensor *bound = lower_bound(s, inner);
    if (bound && option(s, "layer_index"))
        f = tensor_add(bound, tensor_multiply(tensor_affine(bound, -1, 1), f));
    tensor *h = kept_scan(s, "h", f, tensor_multiply(tensor_silu(i), tensor_affine(f, -1, 1)));
    tensor *g = rms_norm(s, "g_norm", ternary_linear(s, "g_proj", x, inner), option_real(s, "epsilon"));
    return ternary_linear(s, "o_proj", tensor_multiply(g, tensor_silu(h)), s->width);
}

KERNEL(ternary_gated_recurrence) = {
    .name = "ternary-gated-recurrence",
    .slot = SLOT_MIXER,
    .variant = "matmul-free",
    .summary = "a gated linear recurrence whose projections have weights -1, 0 and 1",
    .options = OPTIONS(INTEGER_OPTION("expand", 1, 1, 16, "channels of the recurrence over width"),
                       INTEGER_OPTION("conv", 0, 0, 64, "taps of the short convolutions; 0: none"),
                       FLAG_OPTION("shared_conv", 1,
                                   "one convolution of the input instead of two of i and f"),
                       FLAG_OPTION("lower_bound", 0, "a trained lower bound of the forget gate"),
                       INTEGER_OPTION("layer_index", 0, 0, 4096, "0: the bound is not used"),
                       REAL_OPTION("epsilon", 1e-5, 0, 1, "of the norm")),
    .characters = CHARACTERS({"mixing", "vector-state"}, {"normalizer", "norm"}, {"heads", "per-channel"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "gated"},
                             {"decay", "data-dependent"}, {"decay-grain", "channel"}, {"numbers", "real"},
                             {"output-gate", "yes"}, {"time", "linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .forward = forward,
    .step = forward,
};
