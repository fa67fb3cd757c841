/* Hedgehog's learned feature map that mimics softmax (hedgehog, section 4.2; as in HazyResearch/lolcats
 * LolcatsLinearAttention, whose layer adds rotary positions and shared key-value heads). With trained maps
 * W_h [d, f] per query head, for queries and keys apart,
 *
 *     u = x W_h,  phi(u) = [softmax(u), softmax(-u)]  (softmax)  or  [exp(u - max u), exp(min u - u)]
 *         (exponential)
 *     o_i = sum_{j<=i} (phi(q_i) . phi(k_j)) v_j / (sum_{j<=i} phi(q_i) . phi(k_j) + epsilon)
 *
 * Features are at least epsilon. */
#include "block/kernel.h"
#include <math.h>

/* The identity, so that training starts from the head's own channels. */
static void identity(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)s, (void)rank;
    for (int64_t i = 0; i < shape[0] * shape[1] * shape[2]; i++)
        values[i] = i / shape[2] % shape[1] == i % shape[2] ? 1 : 0;
}

static tensor *feature_map(struct scope *s, const char *name, tensor *x)
{
    int64_t heads = option(s, "heads"), f = option_or(s, "features", head_dim(s));
    tensor *map = parameter(s, name, init_function(identity), 3, SHAPE(heads, x->shape[3], f));
    tensor *u = per_head_product(x, map, false), *halves[2];
    for (int i = 0; i < 2; i++) {
        tensor *side = i ? tensor_negate(u) : u;
        if (option_is(s, "feature_map", "softmax"))
            halves[i] = tensor_softmax(side, 3);
        else
            halves[i] = tensor_exp(tensor_subtract(side, tensor_max(side, 3)));
    }
    return tensor_clamp(tensor_concat(2, halves, 3), option_real(s, "epsilon"), INFINITY);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), groups = key_value_heads(s), d = head_dim(s);
    bool bias = option(s, "bias");
    tensor *q = split_heads(linear(s, "q_proj", x, heads * d, bias), heads);
    tensor *k = split_heads(linear(s, "k_proj", x, groups * d, bias), groups);
    tensor *v = split_heads(linear(s, "v_proj", x, groups * d, bias), groups);
    rotate_query_and_key(s, &q, &k);
    k = repeat_heads(k, heads / groups);
    v = repeat_heads(v, heads / groups);
    q = feature_map(s, "feature_map_q.mlp.layer", q);
    k = feature_map(s, option(s, "tied") ? "feature_map_q.mlp.layer" : "feature_map_k.mlp.layer", k);
    struct linear_sums sums = kept_linear_sums(s, "S", q, k, v, NULL);
    tensor *o = tensor_divide(sums.values, tensor_affine(sums.weights, 1, option_real(s, "epsilon")));
    return linear(s, "o_proj", merge_heads(o), s->width, bias);
}

KERNEL(exponential_feature_attention) = {
    .name = "exponential-feature-attention",
    .slot = SLOT_MIXER,
    .variant = "hedgehog",
    .summary = "linear attention with trained exponential features that imitate softmax weights",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "query heads"),
                       INTEGER_OPTION("kv_heads", 0, 0, 1024, "key-value heads; 0: as many as heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       INTEGER_OPTION("features", 0, 0, 4096,
                                      "outputs of a feature map, each used with both signs; 0: head_dim"),
                       CHOICE_OPTION("feature_map", "softmax|exponential", "what normalises the features"),
                       FLAG_OPTION("tied", 0, "queries and keys share a feature map"),
                       FLAG_OPTION("bias", 0, "projections have biases"),
                       REAL_OPTION("epsilon", 1e-12, 0, 1, "least feature; also added to the denominator")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "sum"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "none"}, {"feature-map", "learned"}, {"output-gate", "no"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
