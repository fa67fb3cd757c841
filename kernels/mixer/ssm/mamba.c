/* The Mamba block (mamba, section 3.4 and algorithm 2; mamba_ssm/modules/mamba_simple.py).
 *
 *     (u, z) = x Wi,  u = silu(conv(u)),  (d, B, C) = u Wx,  delta = softplus(d Wd + b),  A = -exp(A_log)
 *     h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t,  y_t = C_t h_t + D u_t        per channel, N states
 *     out = (y * silu(z)) Wo
 *
 * As in the published code B is discretised by Euler's rule and A exactly. */
#include "block/kernel.h"
#include <math.h>

static int64_t step_rank(const struct scope *s)
{
    return option_or(s, "dt_rank", (s->width + 15) / 16);
}

static void log_range(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)s, (void)rank;
    for (int64_t i = 0; i < shape[0] * shape[1]; i++)
        values[i] = (real)log((double)(i % shape[1] + 1));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t inner = (int64_t)(option_real(s, "expand") * (double)s->width), n = option(s, "state"),
            r = step_rank(s);
    tensor *uz = linear(s, "in_proj", x, 2 * inner, option(s, "bias"));
    tensor *z = tensor_slice(uz, 2, inner, inner);
    tensor *u = tensor_silu(short_convolution(s, "conv1d", tensor_slice(uz, 2, 0, inner), option(s, "conv"),
                                              option(s, "conv_bias")));
    tensor *selected = linear(s, "x_proj", u, r + 2 * n, false);
    tensor *B = tensor_slice(selected, 2, r, n), *C = tensor_slice(selected, 2, r + n, n);
    tensor *dt_weight = parameter(
        s, "dt_proj.weight", init_uniform(-1 / sqrt((double)r), 1 / sqrt((double)r)), 2, SHAPE(inner, r));
    tensor *dt_bias = parameter(s, "dt_proj.bias", init_function(fill_step_biases), 1, SHAPE(inner));
    tensor *delta = tensor_softplus(tensor_linear(tensor_slice(selected, 2, 0, r), dt_weight, dt_bias));
    tensor *A =
        tensor_negate(tensor_exp(parameter(s, "A_log", init_function(log_range), 2, SHAPE(inner, n))));
    tensor *D = parameter(s, "D", init_constant(1), 1, SHAPE(inner));

    tensor *h = s->state ? state(s, "h", 0, 3, SHAPE(x->shape[0], inner, n)) : NULL, *h_end;
    tensor *y = tensor_selective_scan(u, delta, A, B, C, h, s->state ? &h_end : NULL);
    if (s->state)
        state_set(s, "h", h_end);
    y = tensor_add(y, tensor_multiply(D, u));
    return linear(s, "out_proj", tensor_multiply(y, tensor_silu(z)), s->width, option(s, "bias"));
}

KERNEL(mamba) = {
    .name = "mamba",
    .slot = SLOT_MIXER,
    .variant = "mamba",
    .summary = "a state-space recurrence whose step, input and output maps depend on the token",
    .options = OPTIONS(INTEGER_OPTION("state", 16, 1, 1024, "states of a channel"),
                       INTEGER_OPTION("conv", 4, 1, 64, "taps of the short convolution"),
                       REAL_OPTION("expand", 2, 0.1, 16, "inner channels over width"),
                       INTEGER_OPTION("dt_rank", 0, 0, 4096,
                                      "rank of the step's projection; 0: width / 16, rounded up"),
                       FLAG_OPTION("conv_bias", 1, "the convolution has a bias"),
                       FLAG_OPTION("bias", 0, "the projections in and out have biases")),
    .characters = CHARACTERS({"mixing", "state-space"}, {"normalizer", "none"}, {"heads", "per-channel"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "additive"},
                             {"decay", "data-dependent"}, {"decay-grain", "state"}, {"numbers", "real"},
                             {"short-convolution", "yes"}, {"output-gate", "yes"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .forward = forward,
    .step = forward,
};
