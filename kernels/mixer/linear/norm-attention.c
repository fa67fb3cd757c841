/* Linear attention with a norm in place of the denominator (transnormer, section 4; NormLinearAttention of
 * fairseq-evo and, with a gate, of transnormer-v2-pytorch). phi is elu + 1 or elu,
 *
 *     o_i = sum_{j<=i} (phi(q_i) . phi(k_j)) v_j,  y = (u * norm(o)) Wo,
 *         v and u = act(x W) of one activation, or u left out
 *
 * without a scale. With `causal` off the sum is over all j. */
#include "output-norm.h"
#include <string.h>

static const char *validate(const struct scope *s)
{
    return option_or(s, "inner", s->width) % option(s, "heads")
               ? "the inner width is not divisible by the number of heads"
               : NULL;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), inner = option_or(s, "inner", s->width);
    bool bias = option(s, "bias"), out = option(s, "output_projection");
    const char *phi = option_choice(s, "feature_map"), *act = option_choice(s, "activation");
    tensor *q = tensor_activation(split_heads(linear(s, "q_proj", x, inner, bias), heads), phi);
    tensor *k = tensor_activation(split_heads(linear(s, "k_proj", x, inner, bias), heads), phi);
    tensor *v = split_heads(tensor_activation(linear(s, "v_proj", x, inner, bias), act), heads), *o;
    if (option(s, "causal")) {
        o = kept_matrix_scan(s, "S", q, k, v, (struct matrix_scan_options){0});
    } else {
        o = whole_linear_product(q, k, v);
    }
    o = output_norm(s, "norm", merge_heads(o));
    if (option(s, "gate"))
        o = tensor_multiply(tensor_activation(linear(s, "u_proj", x, inner, bias), act), o);
    return out ? linear(s, "out_proj", o, s->width, bias) : o;
}

static const char *character(const struct scope *s, const char *name)
{
    if (strcmp(name, "output-gate") == 0)
        return option(s, "gate") ? "yes" : NULL;
    return causality_by_option(s, name);
}

KERNEL(norm_attention) = {
    .name = "norm-attention",
    .slot = SLOT_MIXER,
    .variant = "transnormer",
    .summary = "linear attention whose output is normalised instead of divided by its sum of weights",
    .options = OPTIONS(
        INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
        INTEGER_OPTION("inner", 0, 0, 1 << 24, "channels of all heads; 0: width"),
        CHOICE_OPTION("feature_map", "elu+1|elu|relu|silu|sigmoid|exp|gelu|relu2|identity", "phi"),
        FLAG_OPTION("gate", 0, "the output is multiplied by a projection of the input"),
        CHOICE_OPTION("activation", "identity|silu|gelu|relu|sigmoid|elu|elu+1", "of values and gate"),
        OUTPUT_NORM_OPTIONS("gated-rmsnorm|layernorm|simple-rmsnorm|rmsnorm"),
        FLAG_OPTION("bias", 1, "projections have biases"),
        FLAG_OPTION("output_projection", 1, "the output is projected"),
        FLAG_OPTION("causal", 1, "positions see no later ones")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "norm"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "none"}, {"feature-map", "elu"}, {"output-gate", "no"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
