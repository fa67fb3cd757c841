/* Fourier integral attention (fourierformer; minhtannguyen/FourierFormer_NeurIPS FourierAttn). Attention as a
 * regression whose kernel is a product over the d channels of powers of sinc, which needs no covariance of
 * the keys:
 *
 *     a_tj = prod_i (sin(R (q_ti - k_ji)) / (R (q_ti - k_ji)))^power,  j <= t;
 *         weights a_tj / (sum_j a_tj + 1e-6)
 *
 * R = paramR is one number for all heads, as published. As there, a block whose norm comes first makes its
 * queries of what was there before it (raw_queries). */
#include "pair-scores.h"

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), inner = heads * head_dim(s);
    tensor *raw = option(s, "raw_queries") && s->layer_input ? s->layer_input : x;
    tensor *q = heads_first(linear(s, "q_net", raw, inner, false), heads);
    tensor *k = heads_first(cache_append(s, "key", linear(s, "k_net", x, inner, false), 0), heads);
    tensor *v = heads_first(cache_append(s, "value", linear(s, "v_net", x, inner, false), 0), heads);
    tensor *rate = parameter(s, "paramR", init_constant(1), 1, SHAPE(1));
    tensor *weights = tensor_raise(tensor_sinc_product(q, k, rate), (double)option(s, "power"));
    if (option(s, "causal"))
        weights = tensor_multiply(weights, seen_pairs(weights));
    tensor *total = tensor_affine(tensor_sum(weights, 3), 1, 1e-6);
    return linear(s, "o_net", weighted_values(tensor_divide(weights, total), v), s->width, false);
}

KERNEL(fourier_integral_attention) = {
    .name = "fourier-integral-attention",
    .slot = SLOT_MIXER,
    .variant = "fourierformer",
    .summary = "weights are products over channels of sinc of the difference of query and key, to a power",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       INTEGER_OPTION("power", 4, 1, 64, "of sinc"),
                       FLAG_OPTION("raw_queries", 0, "queries are made of the layer's input before its norm"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "sum"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = causality_by_option,
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
