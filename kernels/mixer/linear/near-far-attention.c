/* FMMformer's attention (fmmformer; minhtannguyen/fmmformer-code-submission CausalFMMAttention): a band of
 * softmax attention for near tokens and sums of linear attention for all,
 *
 *     N_t = sum_s softmax_s(q_t . k_s / sqrt(d)) v_s                        over the `window` newest tokens
 *     L_m,t = sum_{s<=t} (Q_t . K_s) v_s / (Q_t . sum_{s<=t} K_s + epsilon)
 *         Q = phi_m(q), K = phi_m(k), over their sum
 *     o = W_1 N + sum_m W_{m+1} L_m
 *
 * with phi_1 .. phi_M of elu(u) + 1, elu(-u) + 1, tanh(u) + 1 and a trained weight for each head and channel.
 * The window makes the memory of a step constant. */
#include "block/kernel.h"

/* phi_m(u) over the sum of its entries, as a softmax of its logarithm: all of them may be too small for a
 * number. */
static tensor *features(tensor *u, int64_t m)
{
    if (m == 2) /* tanh(u) + 1 = 2 sigmoid(2 u) */
        return tensor_softmax(tensor_log_sigmoid(tensor_scale(u, 2)), 3);
    u = m == 1 ? tensor_negate(u) : u;
    tensor *zero = tensor_scalar(u->graph, 0);
    return tensor_softmax(tensor_add(tensor_log1p(tensor_relu(u)), tensor_minimum(u, zero)), 3);
}

static tensor *weighted(struct scope *s, int64_t number, tensor *o)
{
    tensor *weight = parameter(s, part_name(s, "inner_attention.W%lld", (long long)number), init_constant(1),
                               4, SHAPE(1, 1, o->shape[2], o->shape[3]));
    return tensor_multiply(o, weight);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads");
    tensor *q = split_heads(linear(s, "query_projection", x, s->width, true), heads);
    tensor *k = split_heads(linear(s, "key_projection", x, s->width, true), heads);
    tensor *v = split_heads(linear(s, "value_projection", x, s->width, true), heads), *o = NULL;
    for (int64_t m = 0; m < option(s, "features"); m++) {
        const char *name = part_name(s, "S%lld", (long long)m);
        struct linear_sums sums = kept_linear_sums(s, name, features(q, m), features(k, m), v, NULL);
        tensor *far = tensor_divide(sums.values, tensor_affine(sums.weights, 1, option_real(s, "epsilon")));
        far = weighted(s, m + 2, far);
        o = o ? tensor_add(o, far) : far;
    }
    if (option(s, "near")) {
        struct attention_options options = {.causal = true, .window = option(s, "window")};
        o = tensor_add(o, weighted(s, 1, positioned_attention(s, q, k, v, options)));
    }
    return linear(s, "out_projection", merge_heads(o), s->width, true);
}

KERNEL(near_far_attention) = {
    .name = "near-far-attention",
    .slot = SLOT_MIXER,
    .variant = "fmmformer",
    .summary =
        "softmax attention in a band plus linear attention by several feature maps, with trained weights",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("window", 16, 1, 1 << 24, "newest tokens seen by softmax"),
                       INTEGER_OPTION("features", 1, 1, 3,
                                      "feature maps: elu(u) + 1, elu(-u) + 1, tanh(u) + 1"),
                       FLAG_OPTION("near", 1, "there is a band of softmax attention"),
                       REAL_OPTION("epsilon", 1e-6, 0, 1, "added to the denominators")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "sum"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "none"}, {"feature-map", "elu"}, {"output-gate", "no"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
