/* PolySketchFormer: degree-4 polynomial attention through sketches (polysketchformer, sections 2 and 3;
 * google-research/polysketchformer).
 *
 *     s_ij = (phi(q_i) . phi(k_j))^2,    o_i = sum_{j<=i} s_ij v_j / (1 + sum_{j<=i} s_ij)
 *
 * so the features of linear attention are phi phi^T. Learned sketch: phi(u) = sqrt(r) tanh(f1(u) f2(u) /
 * sqrt(r)), f two small nets each; random: phi(u) = (LN(u) S1) * (LN(u) S2), S fixed. With `mixed`, tokens of
 * one block of `group` weigh exactly (q' . k')^4, q' and k' normed. Queries and keys are rotated by
 * neighbouring pairs, even results before odd ones. Matrices are [in, out]. */
#include "block/kernel.h"
#include <math.h>

static const char *validate(const struct scope *s)
{
    if (validate_heads(s))
        return validate_heads(s);
    return s->width / option(s, "heads") % 2 ? "a head needs an even number of channels to turn" : NULL;
}

static tensor *matrix(struct scope *s, const char *name, tensor *x, int64_t outputs)
{
    int64_t inputs = tensor_length(x, -1);
    double bound = 1 / sqrt((double)inputs);
    return tensor_matmul(x, parameter(s, name, init_uniform(-bound, bound), 2, SHAPE(inputs, outputs)));
}

static tensor *norm(struct scope *s, const char *scale, const char *bias, tensor *x)
{
    int64_t n = tensor_length(x, -1);
    tensor *weight = parameter(s, scale, init_constant(1), 1, SHAPE(n));
    return tensor_layer_norm(x, weight, parameter(s, bias, init_constant(0), 1, SHAPE(n)), 1e-5);
}

/* x [B, T, H, d] rotated, the even channels of the result before the odd ones. */
static tensor *rotated(struct scope *s, tensor *x)
{
    int64_t half = x->shape[3] / 2;
    tensor *angles = rotary_angles(s, s->position, x->shape[1], half, 10000);
    tensor *even = tensor_slice_step(x, 3, 0, half, 2), *odd = tensor_slice_step(x, 3, 1, half, 2);
    return tensor_rotary(tensor_concat(2, (tensor *[]){even, odd}, 3), angles, false);
}

static tensor *sketch_net(struct scope *s, const char *name, tensor *u)
{
    int64_t r = option(s, "sketch"), hidden = option(s, "expand") * r;
    for (int level = 0; level < 2; level++) {
        const char *at = part_name(s, "pre.%s.%d", name, level);
        u = norm(s, part_name(s, "%s.ln_scale", at), part_name(s, "%s.ln_bias", at), u);
        u = tensor_gelu_tanh(matrix(s, part_name(s, "%s.dense0", at), u, hidden));
        u = matrix(s, part_name(s, "%s.dense1", at), u, r);
    }
    return u;
}

static tensor *sketch(struct scope *s, tensor *u)
{
    int64_t r = option(s, "sketch");
    double root = sqrt((double)r);
    if (option_is(s, "kind", "learned")) {
        tensor *product = tensor_multiply(sketch_net(s, "ff1", u), sketch_net(s, "ff2", u));
        return tensor_scale(tensor_tanh(tensor_scale(product, 1 / root)), root);
    }
    u = norm(s, "pre.scale", "pre.bias", u);
    tensor *sides[2];
    for (int i = 0; i < 2; i++)
        sides[i] = tensor_matmul(
            u, buffer(s, i ? "pre.sketch2" : "pre.sketch1", init_normal(1 / root), 2, SHAPE(u->shape[3], r)));
    return tensor_multiply(sides[0], sides[1]);
}

static tensor *quotient(tensor *values, tensor *weights)
{
    return tensor_divide(values, tensor_affine(weights, 1, 1));
}

/* x [B, T, H, f] in blocks, [B, H, blocks, g, f]. */
static tensor *blocks_of(tensor *x, int64_t g, int64_t count)
{
    tensor *padded = tensor_pad(x, 1, 0, count * g - x->shape[1], 0);
    padded = tensor_reshape(padded, 5, SHAPE(x->shape[0], count, g, x->shape[2], x->shape[3]));
    return tensor_permute(padded, (const int[]){0, 3, 1, 2, 4});
}

/* Exact weights inside blocks, sketched ones to earlier blocks, whose sums are taken once a block. */
static tensor *mixed(struct scope *s, tensor *q, tensor *k, tensor *phi_q, tensor *phi_k, tensor *v)
{
    int64_t g = option(s, "group"), length = q->shape[1], count = (length + g - 1) / g;
    tensor *exact = tensor_matmul_nt(blocks_of(norm(s, "q_pre_ln.scale", "q_pre_ln.bias", q), g, count),
                                     blocks_of(norm(s, "k_pre_ln.scale", "k_pre_ln.bias", k), g, count));
    exact = tensor_multiply(tensor_square(tensor_square(exact)), lower_triangle(s->graph, g, g, 0));
    tensor *values = blocks_of(v, g, count), *keys = blocks_of(outer_square(phi_k), g, count),
           *queries = blocks_of(outer_square(phi_q), g, count);
    tensor *sums = tensor_shift(tensor_cumulative_sum(tensor_matmul_tn(keys, values), 2), 2, 1);
    tensor *counts = tensor_shift(tensor_cumulative_sum(tensor_sum(keys, 3), 2), 2, 1);
    tensor *top = tensor_add(tensor_matmul(exact, values), tensor_matmul(queries, sums));
    tensor *bottom = tensor_add(tensor_sum(exact, 4), tensor_sum(tensor_multiply(queries, counts), 4));
    tensor *o = tensor_permute(quotient(top, bottom), (const int[]){0, 2, 3, 1, 4});
    o = tensor_reshape(o, 4, SHAPE(q->shape[0], count * g, q->shape[2], v->shape[3]));
    return tensor_slice(o, 1, 0, length);
}

/* The same for one token. A channel of ones beside the values sums the weights. */
static tensor *mixed_step(struct scope *s, tensor *q, tensor *k, tensor *phi_q, tensor *phi_k, tensor *v)
{
    int64_t g = option(s, "group"), inside = s->position % g + 1, d = v->shape[3];
    tensor *ones = tensor_full(s->graph, 1, 4, SHAPE(v->shape[0], 1, v->shape[2], 1));
    v = tensor_concat(2, (tensor *[]){v, ones}, 3);
    tensor *term = tensor_matmul_tn(tensor_transpose(outer_square(phi_k), 1, 2), tensor_transpose(v, 1, 2));
    tensor *far = sum_of_earlier_groups(s, "far", term, g);
    tensor *keys = recent_rows(s, "k", norm(s, "k_pre_ln.scale", "k_pre_ln.bias", k), g, inside);
    tensor *values = recent_rows(s, "v", v, g, inside);
    tensor *query = tensor_transpose(norm(s, "q_pre_ln.scale", "q_pre_ln.bias", q), 1, 2);
    tensor *exact = tensor_square(tensor_square(tensor_matmul_nt(query, tensor_transpose(keys, 1, 2))));
    tensor *sums = tensor_add(tensor_matmul(exact, tensor_transpose(values, 1, 2)),
                              tensor_matmul(tensor_transpose(outer_square(phi_q), 1, 2), far));
    return tensor_transpose(quotient(tensor_slice(sums, 3, 0, d), tensor_slice(sums, 3, d, 1)), 1, 2);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads");
    tensor *qkv = matrix(s, "qkv", x, 3 * s->width), *parts[3];
    for (int i = 0; i < 3; i++)
        parts[i] = split_heads(tensor_slice(qkv, 2, i * s->width, s->width), heads);
    tensor *q = rotated(s, parts[0]), *k = rotated(s, parts[1]), *phi_q = sketch(s, q), *phi_k = sketch(s, k),
           *o;
    if (option(s, "mixed")) {
        o = (s->state ? mixed_step : mixed)(s, q, k, phi_q, phi_k, parts[2]);
    } else {
        struct linear_sums sums =
            kept_linear_sums(s, "S", outer_square(phi_q), outer_square(phi_k), parts[2], NULL);
        o = quotient(sums.values, sums.weights);
    }
    return matrix(s, "out", merge_heads(o), s->width);
}

static tensor *step(struct scope *s, tensor *x)
{
    return option(s, "mixed") ? step_by_token(s, x, forward) : forward(s, x);
}

KERNEL(polynomial_sketch_attention) = {
    .name = "polynomial-sketch-attention",
    .slot = SLOT_MIXER,
    .variant = "polysketchformer",
    .summary = "attention with the fourth power of inner products, estimated by sketches in linear time",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("sketch", 16, 1, 256, "r, sketched channels"),
                       CHOICE_OPTION("kind", "learned|random", "of sketch"),
                       INTEGER_OPTION("expand", 8, 1, 64, "hidden channels of the learned sketch over r"),
                       FLAG_OPTION("mixed", 0, "exact weights inside blocks"),
                       INTEGER_OPTION("group", 256, 1, 1 << 20, "tokens of a block")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "sum"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "none"}, {"feature-map", "polynomial"}, {"position", "rotary"},
                             {"output-gate", "no"}, {"time", "linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = step,
};
