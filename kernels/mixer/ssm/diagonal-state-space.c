/* S4D, the diagonal state-space layer (s4d, section 3.2 and listing 1; state-spaces/s4 models/s4/s4d.py).
 *
 *     A = -exp(log_A_real) + i A_imag, dt = exp(log_dt), C' = C (exp(dt A) - 1) / A
 *         zero-order hold, N / 2 modes
 *     K[c, l] = 2 Re sum_n C'[c, n] exp(dt A[c, n] l),  u = gelu(K * x + D x),  y = GLU(u W + b)
 *
 * The convolution runs by FFT; a step runs the recurrence h_t = exp(dt A) h_{t-1} + x_t, u_t = 2 Re C'
 * h_t. */
#include "block/modes.h"
#include <math.h>

static struct modes discretise(struct scope *s)
{
    int64_t width = s->width, n = option(s, "state") / 2;
    struct pair c = pair_of(parameter(s, "kernel.C", init_normal(sqrt(0.5)), 3, SHAPE(width, n, 2)));
    tensor *log_dt = parameter(s, "kernel.log_dt", init_function(fill_log_steps), 1, SHAPE(width));
    tensor *log_real = parameter(s, "kernel.log_A_real", init_constant(log(0.5)), 2, SHAPE(width, n));
    struct pair a = {
        tensor_negate(tensor_exp(log_real)),
        parameter(s, "kernel.A_imag", init_function(fill_linear_frequencies), 2, SHAPE(width, n))};
    struct pair rate = pair_scaled(a, tensor_reshape(tensor_exp(log_dt), 2, SHAPE(width, 1)));
    struct pair weight = pair_product(c, zero_order_input(a, rate));
    return (struct modes){rate, pair_scaled(weight, tensor_scalar(s->graph, 2))};
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t width = s->width;
    struct modes m = discretise(s);
    tensor *y = kept_modes(s, "h", &m, x, 0);
    y = tensor_gelu(tensor_add(y, tensor_multiply(x, parameter(s, "D", init_normal(1), 1, SHAPE(width)))));
    tensor *weight = parameter(s, "output_linear.0.weight", init_linear(), 3, SHAPE(2 * width, width, 1));
    tensor *bias = parameter(s, "output_linear.0.bias", init_constant(0), 1, SHAPE(2 * width));
    y = tensor_linear(y, tensor_reshape(weight, 2, SHAPE(2 * width, width)), bias);
    return tensor_multiply(tensor_slice(y, 2, 0, width), tensor_sigmoid(tensor_slice(y, 2, width, width)));
}

static const char *validate(const struct scope *s)
{
    return option(s, "state") % 2 ? "state counts conjugate pairs twice and must be even" : NULL;
}

KERNEL(diagonal_state_space) = {
    .name = "diagonal-state-space",
    .slot = SLOT_MIXER,
    .variant = "s4d",
    .summary = "a time-invariant diagonal state-space model per channel, run as a long convolution",
    .options = OPTIONS(INTEGER_OPTION("state", 64, 2, 4096, "states of a channel, conjugates counted")),
    .characters = CHARACTERS({"mixing", "state-space"}, {"normalizer", "none"}, {"heads", "per-channel"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "additive"},
                             {"decay", "learned"}, {"decay-grain", "state"}, {"numbers", "complex"},
                             {"output-gate", "no"}, {"time", "log-linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
