/* Causal linear attention (linear-transformer, sections 3.2 to 3.4; fast-transformers' CausalLinearAttention
 * in AttentionLayer).
 *
 *     S_t = S_{t-1} + phi(k_t) v_t^T,  z_t = z_{t-1} + phi(k_t),
 *         o_t = S_t^T phi(q_t) / (phi(q_t) . z_t + epsilon)
 *
 * phi(u) = elu(u) + 1; no 1 / sqrt(d). Heads are contiguous slices; key and value heads may differ in
 * size. */
#include "block/kernel.h"

static const char *validate(const struct scope *s)
{
    bool derived = !option(s, "key_dim") || !option(s, "value_dim");
    return derived && s->width % option(s, "heads") ? "the width is not divisible by the number of heads"
                                                    : NULL;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads");
    int64_t dk = option_or(s, "key_dim", s->width / heads);
    int64_t dv = option_or(s, "value_dim", s->width / heads);
    const char *phi = option_choice(s, "feature_map");
    tensor *q =
        tensor_activation(split_heads(linear(s, "query_projection", x, heads * dk, true), heads), phi);
    tensor *k = tensor_activation(split_heads(linear(s, "key_projection", x, heads * dk, true), heads), phi);
    tensor *v = split_heads(linear(s, "value_projection", x, heads * dv, true), heads);
    struct linear_sums sums = kept_linear_sums(s, "S", q, k, v, NULL);
    tensor *o = tensor_divide(sums.values, tensor_affine(sums.weights, 1, option_real(s, "epsilon")));
    return linear(s, "out_projection", merge_heads(o), s->width, true);
}

KERNEL(linear_attention) = {
    .name = "linear-attention",
    .slot = SLOT_MIXER,
    .variant = "linear-transformer",
    .summary = "attention with a feature map for the exponential, so that keys and values are summed once",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("key_dim", 0, 0, 4096, "channels of a key head; 0: width / heads"),
                       INTEGER_OPTION("value_dim", 0, 0, 4096, "channels of a value head; 0: width / heads"),
                       CHOICE_OPTION("feature_map", "elu+1|relu|silu|identity", "phi"),
                       REAL_OPTION("epsilon", 1e-6, 0, 1, "added to the denominator")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "sum"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "none"}, {"feature-map", "elu"}, {"output-gate", "no"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
