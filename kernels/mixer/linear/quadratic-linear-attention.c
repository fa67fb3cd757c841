/* ReBased: a learned quadratic kernel (rebased, eq. 9; corl-team/rebased ReBased). Queries and keys pass a layer norm over the channels of
 * all heads together (or only its weight and bias), then
 *
 *     s_ij = (q_i . k_j / sqrt(f))^2,    o_i = sum_{j<=i} s_ij v_j / (sum_{j<=i} s_ij + epsilon)
 *
 * which is phi(q_i) . phi(k_j) with phi(u) = u u^T / sqrt(f); no constant or linear term. */
#include "block/kernel.h"
#include <math.h>

static const char *validate(const struct scope *s)
{
    int64_t groups = key_value_heads(s);
    if (s->width % option(s, "heads"))
        return "the width is not divisible by the number of heads";
    return option(s, "heads") % groups ? "heads is not divisible by kv_heads" : NULL;
}

/* The norm, or its affine part alone (whose published names differ), then phi: [B, T, H, f^2]. */
static tensor *feature_map(struct scope *s, const char *name, tensor *u, int64_t heads)
{
    int64_t f = option(s, "features");
    const int64_t *width = SHAPE(u->shape[2]);
    bool normalize = option(s, "normalize");
    tensor *weight = NULL, *bias = NULL;
    if (option(s, "gamma"))
        weight = parameter(s, part_name(s, normalize ? "%s.weight" : "%s.gamma", name), init_constant(1), 1,
                           width);
    if (option(s, "beta"))
        bias =
            parameter(s, part_name(s, normalize ? "%s.bias" : "%s.beta", name), init_constant(0), 1, width);
    if (normalize)
        u = tensor_layer_norm(u, weight, bias, 1e-5);
    else {
        u = weight ? tensor_multiply(u, weight) : u;
        u = bias ? tensor_add(u, bias) : u;
    }
    return tensor_scale(outer_square(split_heads(u, heads)), 1 / sqrt((double)f));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), groups = key_value_heads(s);
    int64_t f = option(s, "features"), d = s->width / heads;
    tensor *q = feature_map(s, "ln_q", linear(s, "proj_q", x, heads * f, false), heads);
    tensor *k = feature_map(s, "ln_k", linear(s, "proj_k", x, groups * f, false), groups);
    tensor *v = split_heads(linear(s, "proj_v", x, groups * d, false), groups);
    k = repeat_heads(k, heads / groups);
    v = repeat_heads(v, heads / groups);
    struct linear_sums sums = kept_linear_sums(s, "S", q, k, v, NULL);
    tensor *o = tensor_divide(sums.values, tensor_affine(sums.weights, 1, option_real(s, "epsilon")));
    return linear(s, "proj_o", merge_heads(o), s->width, false);
}

KERNEL(quadratic_linear_attention) = {
    .name = "quadratic-linear-attention",
    .slot = SLOT_MIXER,
    .variant = "rebased",
    .summary = "linear attention with a trained quadratic kernel after a norm of queries and keys",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "query heads"),
                       INTEGER_OPTION("kv_heads", 0, 0, 1024, "key-value heads; 0: as many as heads"),
                       INTEGER_OPTION("features", 16, 1, 256, "channels of a query or key head"),
                       FLAG_OPTION("normalize", 1, "queries and keys pass a layer norm"),
                       FLAG_OPTION("gamma", 1, "with a weight"), FLAG_OPTION("beta", 1, "and a bias"),
                       REAL_OPTION("epsilon", 1e-12, 0, 1, "added to the denominator")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "sum"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "none"}, {"feature-map", "polynomial"}, {"output-gate", "no"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
