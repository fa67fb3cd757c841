/* T2R: a softmax transformer turned into an RNN by a trained feature map (t2r; flash-linear-attention's
 * LinearAttention with feature_map t2r). phi(u) = relu(W u), one W [d, d] for the queries and one for the
 * keys of all heads.
 *
 *     o_t = sum_{j<=t} (q_t . k_j) v_j  (/ (sum_{j<=t} q_t . k_j + 1e-10)),   q = phi(q) / sqrt(features)
 *
 * Options divide features by their sum, leave out the denominator and normalise the heads' outputs. That
 * layer's other feature maps: product (W1 u + b1) * (W2 u + b2), hedgehog softmax([2 z, -2 z]) with z = W u +
 * b, and dpfp, all r_i r_{i-j} for j = 1 .. 4 of r = [relu(u), -relu(u)], the sign of the second half being
 * that code's own. */
#include "block/kernel.h"
#include <math.h>

static const char *validate(const struct scope *s)
{
    int64_t heads = option(s, "heads"), dk = option_width(s, "expand_k"), dv = option_width(s, "expand_v");
    if (!dk || !dv || dk % heads || dv % heads)
        return "expand_k * width and expand_v * width must be divisible by heads";
    return heads % key_value_heads(s) ? "heads is not divisible by kv_heads" : NULL;
}

/* W u + b with parameters feature_map_q.NAME or feature_map_k.NAME. */
static tensor *mapped(struct scope *s, const char *which, const char *name, tensor *u, bool bias)
{
    return linear(s, part_name(s, "feature_map_%s.%s", which, name), u, u->shape[3], bias);
}

static tensor *feature_map(struct scope *s, const char *which, tensor *u)
{
    if (option_is(s, "feature_map", "product"))
        return tensor_multiply(mapped(s, which, "layer1", u, true), mapped(s, which, "layer2", u, true));
    if (option_is(s, "feature_map", "hedgehog")) {
        tensor *z = tensor_scale(mapped(s, which, "layer", u, true), 2);
        return tensor_softmax(tensor_concat(2, (tensor *[]){z, tensor_negate(z)}, 3), 3);
    }
    if (option_is(s, "feature_map", "dpfp")) {
        tensor *half = tensor_relu(u), *parts[4];
        tensor *r = tensor_concat(2, (tensor *[]){half, tensor_negate(half)}, 3);
        for (int j = 0; j < 4; j++)
            parts[j] = tensor_multiply(r, tensor_roll(r, 3, j + 1));
        return tensor_concat(4, parts, 3);
    }
    return tensor_relu(mapped(s, which, "layer", u, false));
}

static tensor *features(struct scope *s, const char *which, tensor *u)
{
    tensor *phi = feature_map(s, option(s, "tied") ? "q" : which, u);
    bool normalised = option(s, which[0] == 'q' ? "norm_q" : "norm_k");
    return normalised ? tensor_divide(phi, tensor_affine(tensor_sum(phi, 3), 1, 1e-4)) : phi;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), groups = key_value_heads(s), times = heads / groups;
    int64_t dk = option_width(s, "expand_k") / heads, dv = option_width(s, "expand_v") / heads;
    tensor *q = features(s, "q", split_heads(linear(s, "q_proj", x, heads * dk, false), heads));
    tensor *k = features(s, "k", split_heads(linear(s, "k_proj", x, groups * dk, false), groups));
    tensor *v = split_heads(linear(s, "v_proj", x, groups * dv, false), groups);
    k = repeat_heads(k, times);
    v = repeat_heads(v, times);
    struct linear_sums sums =
        kept_linear_sums(s, "S", tensor_scale(q, 1 / sqrt((double)q->shape[3])), k, v, NULL);
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
                       CHOICE_OPTION("feature_map", "relu|product|hedgehog|dpfp", "phi"),
                       FLAG_OPTION("tied", 0, "queries and keys share a feature map"),
                       FLAG_OPTION("normalize", 1, "divided by the sum of weights"),
                       FLAG_OPTION("norm_q", 0, "query features sum to one"),
                       FLAG_OPTION("norm_k", 0, "key features do"),
                       CHOICE_OPTION("output_norm", "rmsnorm|identity", "of each head's output"),
                       REAL_OPTION("epsilon", 1e-5, 1e-30, 1, "of that norm")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "sum"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "none"}, {"feature-map", "learned"}, {"output-gate", "no"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
