/* HGRN2: HGRN's recurrence with a matrix state (hgrn2, section 3.2), with its lower bound gamma. Per head of
 * `state` key channels,
 *
 *     f_t = gamma + (1 - gamma) sigmoid(x Wf),  S_t = diag(f_t) S_{t-1} + (1 - f_t) v_t^T,  o_t = S_t^T q_t
 *
 *     packed, the author's (hgru2-pytorch Hgru2_1d): v = act(x Wv), q = act'(x Wq), y = LayerNorm(o) Wo,
 *         with biases; [v, q, f] is one
 *         projection. A head has as many value channels as keys.
 *     separate (flash-linear-attention's HGRN2Attention): v = conv(x Wi), q = silu(conv(x Wq)) / sqrt(state),
 *         y = RMSNorm(o) Wo.
 * The norm is over all heads together. */
#include "lower-bound.h"
#include <math.h>

static int64_t heads_of(const struct scope *s)
{
    int64_t state = option(s, "state");
    return option_or(s, "heads", state ? s->width / state : 1);
}

static int64_t keys_of(const struct scope *s)
{
    return option_or(s, "state", s->width / heads_of(s));
}

static const char *validate(const struct scope *s)
{
    if (heads_of(s) < 1 || s->width % heads_of(s))
        return "the width is not divisible by the number of heads (heads, or width / state)";
    if (option_is(s, "form", "packed") && heads_of(s) * keys_of(s) != s->width)
        return "heads * state is not the width";
    return bound_validate(s);
}

static tensor *recurrence(struct scope *s, tensor *q, tensor *f, tensor *v, double scale)
{
    int64_t heads = heads_of(s);
    f = split_heads(bounded_gate(s, tensor_sigmoid(f)), heads);
    struct matrix_scan_options scan = {.scale = scale, .log_decay = tensor_log(tensor_clamp(f, 1e-30, 1))};
    return merge_heads(kept_matrix_scan(s, "S", split_heads(q, heads), tensor_affine(f, -1, 1),
                                        split_heads(v, heads), scan));
}

static tensor *packed(struct scope *s, tensor *x)
{
    int64_t d = s->width;
    bool bias = option(s, "bias");
    tensor *vqf = linear(s, "in_proj", x, 3 * d, bias);
    tensor *v = tensor_activation(tensor_slice(vqf, 2, 0, d), option_choice(s, "value_activation"));
    tensor *q = tensor_activation(tensor_slice(vqf, 2, d, d), option_choice(s, "query_activation"));
    tensor *o = recurrence(s, q, tensor_slice(vqf, 2, 2 * d, d), v, 1);
    if (option_is(s, "norm", "layernorm"))
        o = layer_norm(s, "norm", o, option_real(s, "epsilon"));
    else if (option_is(s, "norm", "rmsnorm"))
        o = rms_norm(s, "norm", o, option_real(s, "epsilon"));
    else if (option_is(s, "norm", "simple-rmsnorm"))
        o = tensor_rms_norm(o, NULL, option_real(s, "epsilon"));
    return linear(s, "out_proj", o, d, bias);
}

static tensor *project(struct scope *s, const char *which, tensor *x, int64_t outputs)
{
    tensor *y = linear(s, part_name(s, "%s_proj", which), x, outputs, false);
    int64_t taps = option(s, "conv");
    return taps ? short_convolution(s, part_name(s, "%s_conv1d", which), y, taps, false) : y;
}

static tensor *separate(struct scope *s, tensor *x)
{
    int64_t keys = keys_of(s), inner = heads_of(s) * keys;
    tensor *q = tensor_silu(project(s, "q", x, inner)), *f = project(s, "f", x, inner);
    tensor *o = recurrence(s, q, f, project(s, "i", x, s->width), 1 / sqrt((double)keys));
    return linear(s, "o_proj", rms_norm(s, "g_norm", o, option_real(s, "epsilon")), s->width, false);
}

static tensor *forward(struct scope *s, tensor *x)
{
    return (option_is(s, "form", "packed") ? packed : separate)(s, x);
}
KERNEL(state_expanded_gated_recurrence) = {
    .name = "state-expanded-gated-recurrence",
    .slot = SLOT_MIXER,
    .variant = "hgrn2",
    .summary = "a gated linear recurrence whose state is the outer product of one minus the forget gate and "
               "the input",
    .options = OPTIONS(CHOICE_OPTION("form", "packed|separate",
                                     "the author's projections and norm, or those of flash-linear-attention"),
                       INTEGER_OPTION("state", 0, 0, 4096, "key channels of a head; 0: width / heads"),
                       INTEGER_OPTION("heads", 0, 0, 1024, "heads; 0: width / state, or 1"), BOUND_OPTIONS,
                       CHOICE_OPTION("value_activation", "silu|identity|relu|gelu|sigmoid|tanh|elu|elu+1|exp",
                                     "packed: of the values"),
                       CHOICE_OPTION("query_activation", "sigmoid|silu|identity|relu|gelu|tanh|elu|elu+1|exp",
                                     "packed: of the queries"),
                       CHOICE_OPTION("norm", "layernorm|rmsnorm|simple-rmsnorm|none",
                                     "packed: of the output"),
                       FLAG_OPTION("bias", 1, "packed: projections have biases"),
                       INTEGER_OPTION("conv", 0, 0, 64, "separate: taps of the short convolutions; 0: none"),
                       REAL_OPTION("epsilon", 1e-5, 0, 1, "of the norm")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "norm"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "gated"},
                             {"decay", "data-dependent"}, {"decay-grain", "channel"}, {"numbers", "real"},
                             {"feature-map", "none"}, {"output-gate", "no"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
