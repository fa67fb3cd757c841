/* Multi-scale retention (retnet, eq. 5 to 8; torchscale's MultiScaleRetention).
 *
 *     gamma_h = 1 - 2^(-5-h);  q and k turned by n theta, theta_i = 10000^(-i / (d_k / 2 - 1));
 *         k scaled by 1 / sqrt(d_k)
 *     S_n = gamma S_{n-1} + k_n v_n^T,  o_n = S_n^T q_n / sqrt(sum_{m<=n} gamma^{n-m})
 *     y = (silu(x Wg) * RMSNorm_head(o)) Wo
 *
 * The published parallel form divides each row of scores further by clamp(sum |score|, 1, 50000), a constant
 * of the gradient, which the norm that follows undoes but for its epsilon. `form` parallel computes it (T^2);
 * recurrent, the default, leaves it out, as the published recurrent form does. `form` plain is
 * flash-linear-attention's MultiScaleRetention: the usual rotary angles and pairs, optional short
 * convolutions with silu, no division, a norm with a weight. */
#include "retention.h"

static int64_t value_width(const struct scope *s)
{
    return option(s, "value_width") ? option(s, "value_width")
                                    : (int64_t)(option_real(s, "expand_v") * (double)s->width);
}

/* Of the plain form; else the width. */
static int64_t key_width(const struct scope *s)
{
    return option_is(s, "form", "plain") ? (int64_t)(option_real(s, "expand_k") * (double)s->width)
                                         : s->width;
}

static const char *validate(const struct scope *s)
{
    int64_t heads = option(s, "heads");
    if (!key_width(s) || key_width(s) % heads || !value_width(s) || value_width(s) % heads)
        return "the key width and the value width must be divisible by heads";
    return key_width(s) / heads % 2 ? "a head needs an even number of channels to turn" : NULL;
}

static tensor *torchscale(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), dk = s->width / heads;
    tensor *q = split_heads(linear(s, "q_proj", x, s->width, false), heads);
    tensor *k =
        split_heads(tensor_scale(linear(s, "k_proj", x, s->width, false), 1 / sqrt((double)dk)), heads);
    tensor *v = split_heads(linear(s, "v_proj", x, value_width(s), false), heads);
    tensor *gate =
        tensor_activation(linear(s, "g_proj", x, value_width(s), false), option_choice(s, "activation"));
    tensor *angle = buffer(s, "rel_pos.angle", init_function(fill_retention_angles), 1, SHAPE(dk));
    tensor *decay = buffer(s, "rel_pos.decay", init_function(fill_retention_decays), 1, SHAPE(heads));
    tensor *o = retain(s, q, k, v, angle, decay, option_is(s, "form", "parallel"));
    o = tensor_rms_norm(o, NULL, option_real(s, "epsilon"));
    return linear(s, "out_proj", tensor_multiply(gate, merge_heads(o)), s->width, false);
}

static tensor *project(struct scope *s, const char *which, tensor *x, int64_t outputs)
{
    tensor *y = linear(s, part_name(s, "%s_proj", which), x, outputs, false);
    int64_t taps = option(s, "conv");
    if (taps)
        y = tensor_silu(short_convolution(s, part_name(s, "%s_conv1d", which), y, taps, false));
    return split_heads(y, option(s, "heads"));
}

static tensor *plain(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), dk = key_width(s) / heads, length = x->shape[1];
    tensor *q = project(s, "q", x, heads * dk), *k = project(s, "k", x, heads * dk);
    tensor *v = project(s, "v", x, value_width(s));
    tensor *rates = buffer(s, "rotary.inv_freq", init_function(fill_rotary_frequencies), 1, SHAPE(dk / 2));
    tensor *n = tensor_reshape(tensor_range(s->graph, s->position, length, 1), 2, SHAPE(length, 1));
    tensor *angles = tensor_multiply(n, tensor_reshape(rates, 2, SHAPE(1, dk / 2)));
    tensor *decay = tensor_constant(s->graph, NULL, 1, SHAPE(heads));
    fill_retention_decays(s, 1, decay->shape, decay->data);
    struct matrix_scan_options scan = {.log_decay = decay, .scale = 1 / sqrt((double)dk)};
    tensor *o =
        kept_matrix_scan(s, "S", tensor_rotary(q, angles, false), tensor_rotary(k, angles, false), v, scan);
    o = merge_heads(rms_norm(s, "g_norm_swish_gate", o, option_real(s, "epsilon")));
    tensor *gate =
        tensor_activation(linear(s, "g_proj", x, value_width(s), false), option_choice(s, "activation"));
    return linear(s, "o_proj", tensor_multiply(o, gate), s->width, false);
}

static tensor *forward(struct scope *s, tensor *x)
{
    return (option_is(s, "form", "plain") ? plain : torchscale)(s, x);
}

static const char *character(const struct scope *s, const char *name)
{
    return name[0] == 't' && option_is(s, "form", "parallel") ? "quadratic" : NULL;
}

KERNEL(retention) = {
    .name = "retention",
    .slot = SLOT_MIXER,
    .variant = "retnet",
    .summary = "linear attention with rotated keys and a fixed exponential decay per head",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       REAL_OPTION("expand_v", 2, 0.01, 16, "value channels over width"),
                       INTEGER_OPTION("value_width", 0, 0, 1 << 20, "value channels; 0: expand_v * width"),
                       CHOICE_OPTION("form", "recurrent|parallel|plain",
                                     "without, or with rows divided by their absolute sum; plain: see above"),
                       REAL_OPTION("expand_k", 1, 0.01, 16, "plain: key channels over width"),
                       INTEGER_OPTION("conv", 0, 0, 64, "plain: taps of the short convolutions; 0: none"),
                       CHOICE_OPTION("activation", "silu|gelu|relu|sigmoid", "of the output gate"),
                       REAL_OPTION("epsilon", 1e-6, 0, 1, "of the head's norm")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "norm"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "fixed"}, {"decay-grain", "head"}, {"feature-map", "none"},
                             {"output-gate", "yes"}, {"position", "rotary"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
