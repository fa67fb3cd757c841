/* Flow attention (flowformer; thuml/Flowformer Flow_Attention_Causal and Flow_Attention). q, k are sigmoids
 * of the projections; epsilon is added to every entry of both vectors of the four flows, written <., .>. Each
 * sum runs over n_t tokens, those up to t:
 *
 *     I_t = n_t / <q_t, sum_s k_s>,  O_t = n_t / <k_t, sum_s q_s>      incoming and outgoing flow
 *     I'_t = <q_t, sum_s k_s O_s> / n_t,  O'_t = <k_t, sum_s q_s I_s> / n_t
 *         the same, the other conserved; |O'| at most 1
 *     o_t = sigmoid(I'_t) (I_t / n_t) q_t . sum_s k_s (w_s v_s)^T,
 *         w_s = n_s exp(O'_s) / sum_{r<=s} exp(O'_r)
 *
 * w is not normalised anew for later tokens, as published. Without `causal` the sums run over all n = T
 * tokens; there the factors n and 1 / n of I, O and the two flows are left out, and w = n softmax(O'). */
#include "block/kernel.h"

/* Sums over tokens: of the products that flows are, and of what stands in them. */
struct flows {
    struct scope *s;
    double epsilon;
    tensor *counts; /* n_t [1, T, 1, 1]; NULL: sums run over all tokens */
};

/* <a_t, sum_s b_s> [B, T, H, 1] */
static tensor *flow(struct flows f, const char *name, tensor *a, tensor *b)
{
    tensor *shifted = tensor_affine(a, 1, f.epsilon), *sum;
    if (f.counts)
        sum = kept_scan(f.s, name, tensor_scalar(f.s->graph, 1), b);
    else
        sum = tensor_sum(b, 1);
    return tensor_sum(tensor_multiply(shifted, tensor_affine(sum, 1, f.epsilon)), 3);
}

static tensor *up_to_each_token(struct flows f, tensor *q, tensor *k, tensor *v)
{
    struct scope *s = f.s;
    tensor *n = f.counts, *one = tensor_scalar(s->graph, 1);
    tensor *incoming = tensor_divide(n, flow(f, "incoming", q, k));
    tensor *outgoing = tensor_divide(n, flow(f, "outgoing", k, q));
    tensor *sink = tensor_divide(flow(f, "sink", q, tensor_multiply(k, outgoing)), n);
    tensor *source = tensor_divide(flow(f, "source", k, tensor_multiply(q, incoming)), n);
    tensor *strength = tensor_exp(tensor_clamp(source, -1, 1));
    tensor *competition =
        tensor_divide(tensor_multiply(strength, n), kept_scan(s, "competition", one, strength));
    q = tensor_multiply(q, tensor_divide(incoming, n));
    tensor *o =
        kept_matrix_scan(s, "S", q, k, tensor_multiply(v, competition), (struct matrix_scan_options){0});
    return tensor_multiply(o, tensor_sigmoid(sink));
}

static tensor *over_all_tokens(struct flows f, tensor *q, tensor *k, tensor *v)
{
    tensor *incoming = tensor_reciprocal(flow(f, NULL, q, k)),
           *outgoing = tensor_reciprocal(flow(f, NULL, k, q));
    tensor *sink = flow(f, NULL, q, tensor_multiply(k, outgoing));
    tensor *source = tensor_clamp(flow(f, NULL, k, tensor_multiply(q, incoming)), -1, 1);
    tensor *competition = tensor_scale(tensor_softmax(source, 1), (double)v->shape[1]);
    tensor *o = whole_linear_product(tensor_multiply(q, incoming), k, tensor_multiply(v, competition));
    return tensor_multiply(o, tensor_sigmoid(sink));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), hidden = option_or(s, "hidden", s->width), length = x->shape[1];
    tensor *q = split_heads(tensor_sigmoid(linear(s, "query_projection", x, hidden, true)), heads);
    tensor *k = split_heads(tensor_sigmoid(linear(s, "key_projection", x, hidden, true)), heads);
    tensor *v = split_heads(linear(s, "value_projection", x, hidden, true), heads), *o;
    struct flows flows = {.s = s, .epsilon = option_real(s, "epsilon")};
    if (option(s, "causal")) {
        flows.counts =
            tensor_reshape(tensor_range(s->graph, s->position + 1, length, 1), 4, SHAPE(1, length, 1, 1));
        o = up_to_each_token(flows, q, k, v);
    } else {
        o = over_all_tokens(flows, q, k, v);
    }
    return linear(s, "out_projection", merge_heads(o), s->width, true);
}

static const char *validate(const struct scope *s)
{
    return option_or(s, "hidden", s->width) % option(s, "heads") ? "hidden is not divisible by heads" : NULL;
}

KERNEL(flow_attention) = {
    .name = "flow-attention",
    .slot = SLOT_MIXER,
    .variant = "flowformer",
    .summary = "linear attention whose keys compete and whose results are gated by conserved flows",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("hidden", 0, 0, 1 << 20, "channels of all heads; 0: width"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen"),
                       REAL_OPTION("epsilon", 1e-6, 1e-30, 1, "added to queries and keys in the flows")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "sum"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "none"}, {"output-gate", "no"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .character = causality_by_option,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
