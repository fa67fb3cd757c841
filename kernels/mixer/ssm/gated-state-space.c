/* The gated state space layer GSS (gssm, section 3.2 and figure 2; lucidrains/gated-state-spaces-pytorch
 * GSS).
 *
 *     u = gelu(x Wu),  v = gelu(x Wv)                        v of the reduced width C
 *     L = -exp(Lambda_real) + i exp(Lambda_imag)             N modes of all channels, unit step
 *     K[c, l] = Re sum_n C[c, n] (exp(L) - 1) / L exp(L l)
 *     y = (((K * v' + D v') Wg) * u) Wo + b,  v' = LayerNorm(v)
 */
#include "block/modes.h"
#include <math.h>

static tensor *state_space(struct scope *s, tensor *v)
{
    int64_t n = option(s, "state"), width = v->shape[2];
    tensor *log_real = parameter(s, "dss.Lambda_real", init_normal(1), 1, SHAPE(n));
    tensor *imaginary = parameter(s, "dss.Lambda_imag", init_normal(1), 1, SHAPE(n));
    struct pair rate = {tensor_negate(tensor_exp(log_real)),
                        option(s, "positive_frequencies") ? tensor_exp(imaginary) : imaginary};
    struct pair c = {parameter(s, "dss.C_real", init_normal(1), 2, SHAPE(width, n)),
                     parameter(s, "dss.C_imag", init_normal(1), 2, SHAPE(width, n))};
    rate.real = tensor_reshape(rate.real, 2, SHAPE(1, n));
    rate.imaginary = tensor_reshape(rate.imaginary, 2, SHAPE(1, n));
    struct modes modes = {rate, pair_product(c, zero_order_input(rate, rate))};
    tensor *D = parameter(s, "dss.param_D", init_normal(1), 1, SHAPE(width));
    return tensor_add(kept_modes(s, "h", &modes, v, 0), tensor_multiply(v, D));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t hidden = (int64_t)(option_real(s, "expand") * (double)s->width);
    if (option(s, "reverse"))
        x = tensor_flip(x, 1);
    tensor *u = tensor_gelu(linear(s, "to_u.0", x, hidden, false));
    tensor *v = tensor_gelu(
        linear(s, "to_v.0", x, option_or(s, "ssm_width", s->width / 4 ? s->width / 4 : 1), false));
    tensor *mixed = state_space(s, layer_norm(s, "dss.norm", v, 1e-5));
    tensor *y = tensor_multiply(linear(s, "to_gate", mixed, hidden, false), u);
    y = linear(s, "to_out", y, s->width, true);
    return option(s, "reverse") ? tensor_flip(y, 1) : y;
}

static const char *character(const struct scope *s, const char *name)
{
    return name[0] == 'c' && option(s, "reverse") ? "bidirectional" : NULL;
}

KERNEL(gated_state_space) = {
    .name = "gated-state-space",
    .slot = SLOT_MIXER,
    .variant = "gssm",
    .summary = "a diagonal state space at reduced width whose output multiplies a wide gate",
    .options = OPTIONS(INTEGER_OPTION("state", 512, 1, 4096, "modes, shared by the channels"),
                       REAL_OPTION("expand", 4, 0.1, 16, "channels of the gate over width"),
                       INTEGER_OPTION("ssm_width", 0, 0, 1 << 20,
                                      "channels of the state space; 0: width / 4"),
                       FLAG_OPTION("positive_frequencies", 1, "imaginary parts are exponentials"),
                       FLAG_OPTION("reverse", 0, "the sequence is read from its end")),
    .characters = CHARACTERS({"mixing", "state-space"}, {"normalizer", "none"}, {"heads", "per-channel"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "additive"},
                             {"decay", "learned"}, {"decay-grain", "state"}, {"numbers", "complex"},
                             {"output-gate", "yes"}, {"time", "log-linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .character = character,
    .forward = forward,
    .step = forward,
};
