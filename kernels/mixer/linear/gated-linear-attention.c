/* Gated linear attention (gla, eq. 3, section 4.4; flash-linear-attention's layer GatedLinearAttention).
 *
 *     alpha_t = sigmoid(x_t W1 W2 + b)^(1 / tau)              a decay per key channel
 *     S_t = diag(alpha_t) S_{t-1} + k_t^T v_t                 [d_k, d_v] per head
 *     o_t = q_t S_t / sqrt(d_k)
 *     y = (RMSNorm_head(o) * silu(x Wg)) Wo
 *
 * With kv_heads < heads, key, value and gate heads are shared by groups of query heads. The optional short
 * convolutions act on q, k and v after their projections, followed by silu. */
#include "block/kernel.h"

static int64_t key_width(const struct scope *s)
{
    return (int64_t)((double)s->width * option_real(s, "expand_k"));
}

static int64_t value_width(const struct scope *s)
{
    return (int64_t)((double)s->width * option_real(s, "expand_v"));
}

static const char *validate(const struct scope *s)
{
    if (key_width(s) % option(s, "heads") || value_width(s) % option(s, "heads") || !key_width(s) ||
        !value_width(s))
        return "expand_k * width and expand_v * width must be divisible by heads";
    return option(s, "heads") % key_value_heads(s) ? "heads is not divisible by kv_heads" : NULL;
}

static tensor *project(struct scope *s, const char *name, tensor *x, int64_t outputs)
{
    tensor *y = linear(s, part_name(s, "%s_proj", name), x, outputs, false);
    if (option(s, "conv"))
        y = tensor_silu(short_convolution(s, part_name(s, "%s_conv1d", name), y, option(s, "conv"), false));
    return y;
}

static tensor *shared(tensor *x, int64_t groups, int64_t times)
{
    x = split_heads(x, groups);
    return times > 1 ? tensor_repeat_interleave(x, 2, times) : x;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), groups = key_value_heads(s), times = heads / groups;
    int64_t dk = key_width(s) / heads, dv = value_width(s) / heads;
    tensor *q = split_heads(project(s, "q", x, heads * dk), heads);
    tensor *k = shared(project(s, "k", x, groups * dk), groups, times);
    tensor *v = shared(project(s, "v", x, groups * dv), groups, times);
    tensor *gate =
        linear(s, "gk_proj.1", linear(s, "gk_proj.0", x, option(s, "gate_rank"), false), groups * dk, true);
    tensor *log_decay = tensor_scale(tensor_log_sigmoid(gate), 1 / option_real(s, "gate_normalizer"));
    struct matrix_scan_options scan = {.scale = 1 / __builtin_sqrt((double)dk),
                                       .log_decay = shared(log_decay, groups, times)};
    tensor *o = kept_matrix_scan(s, "S", q, k, v, scan);
    o = rms_norm(s, "g_norm_swish_gate", o, option_real(s, "epsilon"));
    tensor *output_gate = tensor_silu(linear(s, "g_proj", x, heads * dv, false));
    return linear(s, "o_proj", tensor_multiply(merge_heads(o), output_gate), s->width, false);
}

KERNEL(gated_linear_attention) = {
    .name = "gated-linear-attention",
    .slot = SLOT_MIXER,
    .variant = "gla",
    .summary = "linear attention whose state decays by a learned, data-dependent rate per key channel",
    .options = OPTIONS(INTEGER_OPTION("heads", 4, 1, 1024, "heads"),
                       INTEGER_OPTION("kv_heads", 0, 0, 1024,
                                      "key, value and gate heads; 0: as many as heads"),
                       REAL_OPTION("expand_k", 0.5, 0.01, 16, "key channels over width"),
                       REAL_OPTION("expand_v", 1, 0.01, 16, "value channels over width"),
                       INTEGER_OPTION("gate_rank", 16, 1, 4096, "rank of the decay's projection"),
                       REAL_OPTION("gate_normalizer", 16, 1e-3, 1e6, "tau: the larger, the slower the decay"),
                       INTEGER_OPTION("conv", 0, 0, 64, "taps of the short convolutions; 0: none"),
                       REAL_OPTION("epsilon", 1e-5, 0, 1, "of the output norm")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "norm"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "data-dependent"}, {"decay-grain", "channel"}, {"feature-map", "none"},
                             {"output-gate", "yes"}, {"time", "linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
