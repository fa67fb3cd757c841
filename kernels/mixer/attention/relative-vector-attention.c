/* Attention with relative position representations (relative-position; tensorflow/tensor2tensor
 * dot_product_attention_relative): keys and values are shifted by trained vectors of the clipped distance,
 * one of each for all heads,
 *
 *     alpha = softmax_s( q_t . (k_s + a(s - t)) / sqrt(d) ),   y_t = sum_s alpha_ts (v_s + b(s - t))
 *
 * a and b are rows clip(s - t, -K, K) + K of relative_positions_keys.embeddings and
 * relative_positions_values.embeddings [2 K + 1, d]. The sum over b goes by distance: the weights of keys at
 * one distance are added up first. That needs the weights, T S numbers a head. `values` off leaves b out. */
#include "../../position/distance-vectors.h"
#include "pair-scores.h"

static tensor *distance_vectors(struct scope *s, const char *name)
{
    return parameter(s, name, init_normal(0.02), 2, SHAPE(2 * option(s, "max_distance") + 1, head_dim(s)));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), width = s->width, most = option(s, "max_distance");
    tensor *q = split_heads(linear(s, "q", x, width, false), heads);
    tensor *k = cache_append(s, "key", split_heads(linear(s, "k", x, width, false), heads), 0);
    tensor *v = cache_append(s, "value", split_heads(linear(s, "v", x, width, false), heads), 0);
    tensor *places = clipped_distances(s->graph, q->shape[1], k->shape[1], most, true);
    q = tensor_transpose(tensor_scale(q, 1 / sqrt((double)head_dim(s))), 1, 2);
    k = tensor_transpose(k, 1, 2);
    v = tensor_transpose(v, 1, 2);
    tensor *scores = tensor_matmul_nt(q, k);
    scores = tensor_add(scores,
                        query_products(q, distance_vectors(s, "relative_positions_keys.embeddings"), places));
    tensor *weights = score_softmax(scores, option(s, "causal"));
    tensor *y = weighted_values(weights, v);
    if (option(s, "values")) {
        tensor *by_distance = tensor_scatter_add(weights, 3, places, 2 * most + 1);
        y = tensor_add(
            y, weighted_values(by_distance, distance_vectors(s, "relative_positions_values.embeddings")));
    }
    return linear(s, "output_transform", y, width, false);
}

KERNEL(relative_vector_attention) = {
    .name = "relative-vector-attention",
    .slot = SLOT_MIXER,
    .variant = "relative-position",
    .summary = "trained vectors of the clipped distance are added to keys and values",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("max_distance", 16, 1, 1 << 24,
                                      "from which distances share a vector, K"),
                       FLAG_OPTION("values", 1, "values have vectors of the distance too"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"position", "relative"},
                             {"time", "quadratic"}, {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = causality_by_option,
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
