/* Attention over keys and values that learned matrices shorten along the sequence (linformer, section 4;
 * lucidrains/linformer LinformerSelfAttention). Of E and F [length, rows] the first T rows are used:
 *
 *     K = (E^T x) Wk,  V = (F^T x) Wv        rows x d per head
 *     softmax:   o_t = sum_j softmax_j(q_t . K_j / sqrt(d)) V_j
 *     features:  o_t = sum_j (phi(q_t) . phi(K_j)) V_j / (sum_j phi(q_t) . phi(K_j) + 1e-6)
 *         FLuRKA (flurka, section 3)
 *
 * The published code projects all tokens and shortens then, which is the same by linearity and costs more;
 * FLuRKA is this order. Its paper leaves out the denominator, which the feature maps that it takes over have.
 * With `shared` the keys are the values too. Every query sees all rows, hence all tokens. */
#include "block/kernel.h"
#include <math.h>
#include <string.h>

/* rows [B, k, D] of x [B, T, D] */
static tensor *shortened(struct scope *s, const char *name, tensor *x)
{
    int64_t length = option(s, "length"), rows = option(s, "rows");
    if (x->shape[1] > length)
        kernel_fail(s, "%lld tokens are more than it has weights for (option length: %lld)",
                    (long long)x->shape[1], (long long)length);
    double bound = 1 / sqrt((double)rows);
    tensor *weight = parameter(s, name, init_uniform(-bound, bound), 2, SHAPE(length, rows));
    return tensor_matmul_tn(tensor_slice(weight, 0, 0, x->shape[1]), x);
}

static tensor *by_features(tensor *q, tensor *k, tensor *v, const char *feature_map)
{
    struct linear_sums sums =
        whole_linear_sums(tensor_activation(q, feature_map), tensor_activation(k, feature_map), v);
    return tensor_divide(sums.values, tensor_affine(sums.weights, 1, 1e-6));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), groups = key_value_heads(s), d = head_dim(s);
    tensor *q = split_heads(linear(s, "to_q", x, heads * d, false), heads);
    tensor *k = split_heads(linear(s, "to_k", shortened(s, "proj_k", x), groups * d, false), groups), *v = k;
    if (!option(s, "shared"))
        v = split_heads(linear(s, "to_v", shortened(s, "proj_v", x), groups * d, false), groups);
    tensor *o = option_is(s, "feature_map", "softmax")
                    ? tensor_attention(q, k, v, &(struct attention_options){0})
                    : by_features(q, repeat_heads(k, heads / groups), repeat_heads(v, heads / groups),
                                  option_choice(s, "feature_map"));
    return linear(s, "to_out", merge_heads(o), s->width, true);
}

static const char *character(const struct scope *s, const char *name)
{
    if (heads_by_option(s, name))
        return heads_by_option(s, name);
    if (option_is(s, "feature_map", "softmax"))
        return NULL;
    if (strcmp(name, "feature-map") == 0)
        return option_is(s, "feature_map", "relu") ? "relu" : "elu";
    return strcmp(name, "mixing") == 0 ? "linear-attention" : strcmp(name, "normalizer") == 0 ? "sum" : NULL;
}

KERNEL(length_projected_attention) = {
    .name = "length-projected-attention",
    .slot = SLOT_MIXER,
    .variant = "linformer",
    .summary =
        "attention over a fixed number of rows to which keys and values are projected along the sequence",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "query heads"),
                       INTEGER_OPTION("kv_heads", 0, 0, 1024, "key-value heads; 0: as many as heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       INTEGER_OPTION("length", 4096, 1, 1 << 24, "tokens that have weights"),
                       INTEGER_OPTION("rows", 64, 1, 1 << 20, "rows of keys and values"),
                       FLAG_OPTION("shared", 0, "keys are values"),
                       CHOICE_OPTION("feature_map", "softmax|elu+1|relu", "what weighs the rows")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "compressed"}, {"state", "none"}, {"feature-map", "none"},
                             {"position", "absolute"}, {"time", "linear"}, {"causality", "bidirectional"}),
    .character = character,
    .validate = validate_heads,
    .forward = forward,
};
