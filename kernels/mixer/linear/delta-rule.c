/* The delta rule on fast weights (deltanet, eq. 23 and 24; in the layer of Yang et al. 2024,
 * flash-linear-attention's DeltaNet).
 *
 *     q, k, v = silu(conv(x W)), q and k of unit length per head;
 *         beta_t = sigmoid(x_t Wb) (times 2 if negative eigenvalues)
 *     S_t = S_{t-1} + beta_t k_t (v_t - S_{t-1}^T k_t)^T,  o_t = S_t^T q_t / sqrt(d_k)
 *     y = RMSNorm_head(o) (* silu(x Wg)) Wo */
#include "block/kernel.h"

static const char *validate(const struct scope *s)
{
    int64_t heads = option(s, "heads"), dk = option_width(s, "expand_k"), dv = option_width(s, "expand_v");
    return !dk || !dv || dk % heads || dv % heads
               ? "expand_k * width and expand_v * width must be divisible by heads"
               : NULL;
}

static tensor *project(struct scope *s, const char *name, tensor *x, int64_t outputs)
{
    tensor *y = linear(s, part_name(s, "%s_proj", name), x, outputs, false);
    if (option(s, "conv"))
        y = short_convolution(s, part_name(s, "%s_conv1d", name), y, option(s, "conv"), false);
    return split_heads(tensor_silu(y), option(s, "heads"));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), dk = option_width(s, "expand_k"), dv = option_width(s, "expand_v");
    tensor *q = tensor_l2_norm(project(s, "q", x, dk), 1e-6);
    tensor *k = tensor_l2_norm(project(s, "k", x, dk), 1e-6);
    tensor *v = project(s, "v", x, dv);
    tensor *beta = tensor_sigmoid(linear(s, "b_proj", x, heads, false));
    if (option(s, "negative_eigenvalues"))
        beta = tensor_scale(beta, 2);
    struct matrix_scan_options scan = {.scale = 1 / __builtin_sqrt((double)(dk / heads)), .beta = beta};
    tensor *o = rms_norm(s, "o_norm", kept_matrix_scan(s, "S", q, k, v, scan), option_real(s, "epsilon"));
    o = merge_heads(o);
    if (option(s, "gate"))
        o = tensor_multiply(o, tensor_silu(linear(s, "g_proj", x, dv, false)));
    return linear(s, "o_proj", o, s->width, false);
}

KERNEL(delta_rule) = {
    .name = "delta-rule",
    .slot = SLOT_MIXER,
    .variant = "deltanet",
    .summary = "fast weights that first subtract what a key already retrieves, then write the new value",
    .options = OPTIONS(INTEGER_OPTION("heads", 4, 1, 1024, "heads"),
                       REAL_OPTION("expand_k", 1, 0.01, 16, "key channels over width"),
                       REAL_OPTION("expand_v", 1, 0.01, 16, "value channels over width"),
                       INTEGER_OPTION("conv", 4, 0, 64, "taps of the short convolutions; 0: none"),
                       FLAG_OPTION("gate", 0, "the output is gated by silu of a projection"),
                       FLAG_OPTION("negative_eigenvalues", 0,
                                   "beta reaches 2, so that the state can change sign"),
                       REAL_OPTION("epsilon", 1e-5, 0, 1, "of the output norm")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "norm"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "delta"},
                             {"decay", "none"}, {"feature-map", "silu"}, {"short-convolution", "yes"},
                             {"output-gate", "no"}, {"time", "linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
