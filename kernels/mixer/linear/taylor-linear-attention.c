/* Based's linear attention by the Taylor series of the exponential (based, section 4.1; HazyResearch/based
 * LinearAttention, TaylorExp):
 *
 *     a_ij = 1 + s_ij + s_ij^2 / 2,  s_ij = q_i . k_j / sqrt(f),
 *         o_i = sum_{j<=i} a_ij v_j / (sum_{j<=i} a_ij + epsilon)
 *
 * which is phi(q_i) . phi(k_j) with phi(u) = [1, u / f^(1/4), u u^T / sqrt(2 f)]. */
#include "block/kernel.h"
#include <math.h>

/* u [B, T, H, f] -> [B, T, H, 1 + f + f^2] */
static tensor *taylor(tensor *u)
{
    int64_t f = u->shape[3];
    tensor *one = tensor_full(u->graph, 1, 4, SHAPE(u->shape[0], u->shape[1], u->shape[2], 1));
    tensor *parts[] = {one, tensor_scale(u, pow((double)f, -0.25)),
                       tensor_scale(outer_square(u), 1 / sqrt(2 * (double)f))};
    return tensor_concat(3, parts, 3);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), f = option(s, "features");
    int64_t d = head_dim(s);
    tensor *q = taylor(split_heads(linear(s, "proj_q", x, heads * f, false), heads));
    tensor *k = taylor(split_heads(linear(s, "proj_k", x, heads * f, false), heads));
    tensor *v = split_heads(linear(s, "proj_v", x, heads * d, false), heads);
    struct linear_sums sums = kept_linear_sums(s, "S", q, k, v, NULL);
    tensor *o = tensor_divide(sums.values, tensor_affine(sums.weights, 1, option_real(s, "epsilon")));
    return linear(s, "out_proj", merge_heads(o), s->width, false);
}

KERNEL(taylor_linear_attention) = {
    .name = "taylor-linear-attention",
    .slot = SLOT_MIXER,
    .variant = "based",
    .summary = "linear attention whose features are the second-order Taylor series of the exponential",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a value head; 0: width / heads"),
                       INTEGER_OPTION("features", 16, 1, 256,
                                      "channels of a query or key head before the map"),
                       REAL_OPTION("epsilon", 1e-12, 0, 1, "added to the denominator")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "sum"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "none"}, {"feature-map", "polynomial"}, {"output-gate", "no"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
