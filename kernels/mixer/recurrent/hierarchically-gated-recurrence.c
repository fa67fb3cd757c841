/* HGRN's gated linear recurrence per channel (hgrn, section 3), with the lower bound gamma of lower-bound.h.
 *
 *     complex, the paper's (hgru-pytorch Hgru1d): u = act(x Wu + b), channel c being u_2c + i u_2c+1;
 *         g = act(x Wg + b)
 *         f_t = gamma + (1 - gamma) sigmoid(x Wf + b),  h_t = f_t e^{i theta} h_{t-1} + (1 - f_t) u_t
 *         y = (LayerNorm([Re h, Im h]) * g) Wo + b
 *     real (flash-linear-attention's HGRNAttention): f as above of conv(x Wf), i = silu(conv(x Wi)) (1 - f),
 *         h_t = f_t h_{t-1} + i_t
 *         y = (RMSNorm(h) * silu(x Wg)) Wo */
#include "lower-bound.h"
#include <math.h>

static void angles(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)s;
    int64_t channels = shape[rank - 1];
    for (int64_t c = 0; c < channels; c++)
        values[c] = (real)pow(10000, -2 * (double)c / (double)channels);
}

static tensor *complex_form(struct scope *s, tensor *x)
{
    int64_t B = x->shape[0], T = x->shape[1], d = s->width;
    bool bias = option(s, "bias");
    const char *act = option_choice(s, "activation");
    tensor *u = tensor_activation(linear(s, "input_proj", x, 2 * d, bias), act);
    tensor *f = bounded_gate(s, tensor_sigmoid(linear(s, "lambda_proj", x, d, bias)));
    tensor *g = tensor_activation(linear(s, "gate", x, 2 * d, bias), act);
    tensor *theta =
        tensor_reshape(parameter(s, "theta", init_function(angles), 3, SHAPE(1, 1, d)), 2, SHAPE(d, 1));
    tensor *turn = tensor_concat(2, (tensor *[]){tensor_cos(theta), tensor_sin(theta)}, 1);
    f = tensor_reshape(f, 4, SHAPE(B, T, d, 1));
    u = tensor_multiply(tensor_affine(f, -1, 1), tensor_reshape(u, 4, SHAPE(B, T, d, 2)));
    tensor *h = tensor_transpose(kept_scan_complex(s, "h", tensor_multiply(f, turn), u), 2, 3);
    h = layer_norm(s, "norm", tensor_reshape(h, 3, SHAPE(B, T, 2 * d)), option_real(s, "epsilon"));
    return linear(s, "out_proj", tensor_multiply(h, g), d, bias);
}

static tensor *project(struct scope *s, const char *which, tensor *x, int64_t inner)
{
    tensor *y = linear(s, part_name(s, "%s_proj", which), x, inner, false);
    int64_t taps = option(s, "conv");
    return taps ? short_convolution(s, part_name(s, "%s_conv1d", which), y, taps, false) : y;
}

static tensor *real_form(struct scope *s, tensor *x)
{
    int64_t inner = (int64_t)((double)s->width * option_real(s, "expand"));
    tensor *f = bounded_gate(s, tensor_sigmoid(project(s, "f", x, inner)));
    tensor *i = tensor_multiply(tensor_silu(project(s, "i", x, inner)), tensor_affine(f, -1, 1));
    tensor *o = rms_norm(s, "g_norm", kept_scan(s, "h", f, i), option_real(s, "epsilon"));
    tensor *gate = tensor_silu(linear(s, "g_proj", x, inner, false));
    return linear(s, "o_proj", tensor_multiply(o, gate), s->width, false);
}

static tensor *forward(struct scope *s, tensor *x)
{
    return (option_is(s, "numbers", "complex") ? complex_form : real_form)(s, x);
}

static const char *character(const struct scope *s, const char *name)
{
    if (option_is(s, "numbers", "complex"))
        return NULL;
    return name[0] == 'n' && name[1] == 'u'                        ? "real"
           : name[0] == 's' && name[1] == 'h' && option(s, "conv") ? "yes"
                                                                   : NULL;
}

KERNEL(hierarchically_gated_recurrence) = {
    .name = "hierarchically-gated-recurrence",
    .slot = SLOT_MIXER,
    .variant = "hgrn",
    .summary =
        "a gated linear recurrence per channel whose forget gates have a lower bound that rises with depth",
    .options = OPTIONS(CHOICE_OPTION("numbers", "complex|real", "of the recurrence"), BOUND_OPTIONS,
                       CHOICE_OPTION("activation", "silu|identity|relu|gelu|sigmoid|tanh|elu|elu+1|exp",
                                     "complex: of the input and the output gate"),
                       FLAG_OPTION("bias", 1, "complex: projections have biases"),
                       REAL_OPTION("expand", 1, 0.01, 16, "real: channels over width"),
                       INTEGER_OPTION("conv", 0, 0, 64, "real: taps of the short convolutions; 0: none"),
                       REAL_OPTION("epsilon", 1e-5, 0, 1, "of the output's norm")),
    .characters = CHARACTERS({"mixing", "vector-state"}, {"normalizer", "norm"}, {"heads", "per-channel"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "gated"},
                             {"decay", "data-dependent"}, {"decay-grain", "channel"}, {"numbers", "complex"},
                             {"short-convolution", "no"}, {"output-gate", "yes"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .character = character,
    .validate = bound_validate,
    .forward = forward,
    .step = forward,
};
