/* T2R: a softmax transformer turned into an RNN by a trained feature map (t2r, eq. 4 and 5; flash-linear-attention's LinearAttention with
 * feature_map t2r). phi(u) = relu(W u), one W [d, d] for the queries and one for the keys of all heads.
 *
 *     o_t = sum_{j<=t} (q_t . k_j) v_j  (/ (sum_{j<=t} q_t . k_j + 1e-10)),   q = phi(q) / sqrt(features)
 *
 * Options divide features by their sum, leave out the denominator and normalise the heads' outputs. */
#include "block/kernel.h"
#include <math.h>

static int64_t expanded(const struct scope *s, const char *name)
{
    return (int64_t)(option_real(s, name) * (double)s->width);
}

static const char *validate(const struct scope *s)
{
    int64_t heads = option(s, "heads"), dk = expanded(s, "expand_k"), dv = expanded(s, "expand_v");
    if (!dk || !dv || dk % heads || dv % heads)
        return "expand_k * width and expand_v * width must be divisible by heads";
    return heads % key_value_heads(s) ? "heads is not divisible by kv_heads" : NULL;
}

static tensor *features(struct scope *s, const char *which, tensor *u)
{
    int64_t d = u->shape[3];
    tensor *weight =
        parameter(s, part_name(s, "feature_map_%s.layer.weight", which), init_linear(), 2, SHAPE(d, d));
    tensor *phi = tensor_relu(tensor_linear(u, weight, NULL));
    bool normalised = option(s, which[0] == 'q' ? "norm_q" : "norm_k");
    return normalised ? tensor_divide(phi, tensor_affine(tensor_sum(phi, 3), 1, 1e-4)) : phi;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), groups = key_value_heads(s), times = heads / groups;
    int64_t dk = expanded(s, "expand_k") / heads, dv = expanded(s, "expand_v") / heads;
    tensor *q = features(s, "q", split_heads(linear(s, "q_proj", x, heads * dk, false), heads));
    tensor *k = features(s, "k", split_heads(linear(s, "k_proj", x, groups * dk, false), groups));
    tensor *v = split_heads(linear(s, "v_proj", x, groups * dv, false), groups);
    if (times > 1) {
        k = tensor_repeat_interleave(k, 2, times);
        v = tensor_repeat_interleave(v, 2, times);
    }
    struct linear_sums sums = kept_linear_sums(s, "S", tensor_scale(q, 1 / sqrt((double)dk)), k, v, NULL);
    tensor *o = option(s, "normalize") ? tensor_divide(sums.values, tensor_affine(sums.weights, 1, 1e-10))
                                       : sums.values;
    if (option_is(s, "output_norm", "rmsnorm"))
        o = rms_norm(s, "norm", o, option_real(s, "epsilon"));
    return linear(s, "o_proj", merge_heads(o), s->width, false);
}

KERNEL(learned_feature_attention) = {
    .name = "learned-feature-attention",
    .slot = SLOT_MIXER,
    .variant = "t2r",
    .summary = "linear attention with trained relu features, meant to be fine-tuned from a softmax model",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "query heads"),
                       INTEGER_OPTION("kv_heads", 0, 0, 1024, "key-value heads; 0: as many as heads"),
                       REAL_OPTION("expand_k", 1, 0.01, 16, "key channels over width"),
                       REAL_OPTION("expand_v", 1, 0.01, 16, "value channels over width"),
                       FLAG_OPTION("normalize", 1, "divided by the sum of weights"),
                       FLAG_OPTION("norm_q", 0, "query features sum to one"),
                       FLAG_OPTION("norm_k", 0, "key features do"),
                       CHOICE_OPTION("output_norm", "rmsnorm|identity", "of each head's output"),
                       REAL_OPTION("epsilon", 1e-5, 0, 1, "of that norm")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "sum"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "none"}, {"feature-map", "learned"}, {"output-gate", "no"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
