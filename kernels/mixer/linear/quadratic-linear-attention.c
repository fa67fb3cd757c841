/* ReBased: a learned quadratic kernel (rebased, section 4; corl-team/rebased ReBased). Queries and keys pass
 * a layer norm over the channels of all heads together (or only its weight and bias), then
 *
 *     s_ij = (q_i . k_j / sqrt(f))^2,    o_i = sum_{j<=i} s_ij v_j / (sum_{j<=i} s_ij + epsilon)
 *
 * which is phi(q_i) . phi(k_j) with phi(u) = u u^T / sqrt(f); no constant or linear term. The first tokens,
 * whose few scores may nearly vanish where products of features cancel, are computed from the scores. */
#include "block/kernel.h"
#include <math.h>

enum { FEW = 32 };

/* The norm, or its affine part alone, whose names differ and whose bias is there even if `beta` does not add
 * it: [B, T, H, f]. */
static tensor *normalised(struct scope *s, const char *name, tensor *u, int64_t heads)
{
    const int64_t *width = SHAPE(u->shape[2]);
    bool normalize = option(s, "normalize"), gamma = option(s, "gamma"), beta = option(s, "beta");
    tensor *weight = NULL, *bias = NULL;
    if (gamma)
        weight = parameter(s, part_name(s, normalize ? "%s.weight" : "%s.gamma", name), init_constant(1), 1,
                           width);
    if (beta || (gamma && !normalize))
        bias =
            parameter(s, part_name(s, normalize ? "%s.bias" : "%s.beta", name), init_constant(0), 1, width);
    bias = beta ? bias : NULL;
    if (normalize)
        return split_heads(tensor_layer_norm(u, weight, bias, 1e-5), heads);
    u = weight ? tensor_multiply(u, weight) : u;
    return split_heads(bias ? tensor_add(u, bias) : u, heads);
}

static tensor *features(tensor *u)
{
    return tensor_scale(outer_square(u), 1 / sqrt((double)u->shape[3]));
}

/* The sums of the last tokens among k's from the scores themselves. */
static struct linear_sums exact_sums(tensor *q, tensor *k, tensor *v)
{
    int64_t rows = q->shape[1], columns = k->shape[1];
    tensor *scores = tensor_matmul_nt(tensor_transpose(q, 1, 2), tensor_transpose(k, 1, 2));
    scores = tensor_square(tensor_scale(scores, 1 / sqrt((double)q->shape[3])));
    scores = tensor_multiply(scores, lower_triangle(q->graph, rows, columns, columns - rows));
    return (struct linear_sums){
        .values = tensor_transpose(tensor_matmul(scores, tensor_transpose(v, 1, 2)), 1, 2),
        .weights = tensor_transpose(tensor_sum(scores, 3), 1, 2),
    };
}

static tensor *quotient(struct scope *s, struct linear_sums sums)
{
    return tensor_divide(sums.values, tensor_affine(sums.weights, 1, option_real(s, "epsilon")));
}

/* The first few sums can nearly vanish. There products of features would cancel, scores do not. */
static tensor *attend(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t length = q->shape[1], start = s->position, end = start + length < FEW ? start + length : FEW;
    tensor *o = quotient(s, kept_linear_sums(s, "S", features(q), features(k), v, NULL));
    if (start >= FEW)
        return o;
    k = tensor_slice(cache_append(s, "first_k", k, FEW), 1, 0, end);
    v = tensor_slice(cache_append(s, "first_v", v, FEW), 1, 0, end);
    int64_t few = end - start;
    tensor *first = quotient(s, exact_sums(tensor_slice(q, 1, 0, few), k, v));
    return few == length ? first
                         : tensor_concat(2, (tensor *[]){first, tensor_slice(o, 1, few, length - few)}, 1);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), groups = key_value_heads(s);
    int64_t f = option(s, "features"), d = s->width / heads;
    tensor *q = normalised(s, "ln_q", linear(s, "proj_q", x, heads * f, false), heads);
    tensor *k = normalised(s, "ln_k", linear(s, "proj_k", x, groups * f, false), groups);
    tensor *v = split_heads(linear(s, "proj_v", x, groups * d, false), groups);
    tensor *o = attend(s, q, repeat_heads(k, heads / groups), repeat_heads(v, heads / groups));
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
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
