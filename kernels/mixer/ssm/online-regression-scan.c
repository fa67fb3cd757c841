/* Longhorn (longhorn, section 3; Cranial-XIX/longhorn Longhorn). In Mamba's block,
 *
 *     (u, z) = x Wi,  u = silu(conv(u)),  (d, k, q) = u Wx,  b = sigmoid(d Wd + bias),
 *         delta = b / (1 + b |k|^2)
 *     h_t[c, n] = (1 - delta_t[c] k_t[n]^2) h_{t-1}[c, n] + delta_t[c] u_t[c] k_t[n],
 *         o_t[c] = sum_n q_t[n] h_t[c, n] + D[c] u_t[c]
 *     y = (o * silu(z)) Wo
 *
 * The exact solution of the online regression has the outer product k k^T; its diagonal stands for it, as
 * published. */
#include "block/kernel.h"

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t inner = (int64_t)(option_real(s, "expand") * (double)s->width), n = option(s, "state");
    int64_t r = option_or(s, "dt_rank", (s->width + 15) / 16);
    tensor *uz = linear(s, "in_proj", x, 2 * inner, option(s, "bias"));
    tensor *u = tensor_silu(short_convolution(s, "conv1d", tensor_slice(uz, 2, 0, inner), option(s, "conv"),
                                              option(s, "conv_bias")));
    tensor *selected = linear(s, "x_proj", u, r + 2 * n, false);
    tensor *k = tensor_slice(selected, 2, r, n), *q = tensor_slice(selected, 2, r + n, n);
    tensor *b = tensor_sigmoid(linear(s, "dt_head", tensor_slice(selected, 2, 0, r), inner, true));
    tensor *length = tensor_sum(tensor_square(k), 2);
    tensor *delta = tensor_divide(b, tensor_affine(tensor_multiply(b, length), 1, 1));
    tensor *h = s->state ? state(s, "h", 0, 3, SHAPE(x->shape[0], inner, n)) : NULL, *last;
    tensor *o = tensor_regression_scan(u, delta, k, q, h, &last);
    if (s->state)
        state_set(s, "h", last);
    o = tensor_add(o, tensor_multiply(parameter(s, "D", init_constant(1), 1, SHAPE(inner)), u));
    o = tensor_multiply(o, tensor_silu(tensor_slice(uz, 2, inner, inner)));
    return linear(s, "out_proj", o, s->width, option(s, "bias"));
}

KERNEL(online_regression_scan) = {
    .name = "online-regression-scan",
    .slot = SLOT_MIXER,
    .variant = "longhorn",
    .summary = "a recurrence that at each token solves an online regression of values on keys, so that keys "
               "set what is forgotten",
    .options = OPTIONS(INTEGER_OPTION("state", 16, 1, 1024, "states of a channel"),
                       INTEGER_OPTION("conv", 4, 1, 64, "taps of the short convolution"),
                       REAL_OPTION("expand", 2, 0.1, 16, "inner channels over width"),
                       INTEGER_OPTION("dt_rank", 0, 0, 4096,
                                      "rank of the step's projection; 0: width / 16, rounded up"),
                       FLAG_OPTION("conv_bias", 1, "the convolution has a bias"),
                       FLAG_OPTION("bias", 0, "the projections in and out have biases")),
    .characters = CHARACTERS({"mixing", "state-space"}, {"normalizer", "none"}, {"heads", "per-channel"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "delta"},
                             {"decay", "data-dependent"}, {"decay-grain", "state"}, {"numbers", "real"},
                             {"short-convolution", "yes"}, {"output-gate", "yes"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .forward = forward,
    .step = forward,
};
