/* Attention by cosines (qknorm; CyndxAI/QKNorm MultiheadAttention; cosine-sim-attention;
 * lucidrains/flash-cosine-sim-attention). Queries and keys of each head are divided by their length, so
 * scores are bounded whatever the sizes of the vectors:
 *
 *     softmax(g cos(q_t, k_s), over s <= t) v,
 *         g learned, one number for all heads, log2(L^2 - L) at first for sequences of length L
 *
 * With `scale` g is that number. With `groups` the head's channels are cut in so many groups that are
 * normalised each, and scores are sums of their cosines. As published, qknorm's four projections are slices
 * of one matrix (joint), the other's are matrices of their own, which may have a layer norm in front. */
#include "block/kernel.h"
#include <math.h>

/* Projection `part` of q, k, v and the output, [outputs, inputs]. */
static tensor *project(struct scope *s, int part, tensor *x, int64_t outputs)
{
    static const char *const names[] = {"to_q", "to_k", "to_v", "to_out"};
    if (!option(s, "joint"))
        return linear(s, names[part], x, outputs, option(s, "bias"));
    tensor *weight = parameter(s, "weights", init_linear(), 2, SHAPE(4 * s->width, s->width)), *bias = NULL;
    if (option(s, "bias"))
        bias = tensor_slice(parameter(s, "biases", init_constant(0), 1, SHAPE(4 * s->width)), 0,
                            part * s->width, s->width);
    return tensor_linear(x, tensor_slice(weight, 0, part * s->width, s->width), bias);
}

/* x [B, T, H d] in heads whose groups of channels have length 1. */
static tensor *unit_heads(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), groups = option(s, "groups");
    tensor *unit = tensor_l2_norm_max(split_heads(x, heads * groups), 1e-12);
    return tensor_reshape(unit, 4, SHAPE(x->shape[0], x->shape[1], heads, x->shape[2] / heads));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), inner = heads * head_dim(s);
    double scale = option_real(s, "scale"), length = (double)option(s, "length");
    if (option(s, "pre_norm"))
        x = layer_norm(s, "norm", x, 1e-5);
    tensor *q = unit_heads(s, project(s, 0, x, inner)), *k = unit_heads(s, project(s, 1, x, inner));
    tensor *v = split_heads(project(s, 2, x, inner), heads);
    if (scale == 0)
        q = tensor_multiply(
            q, parameter(s, "mha_scale.scale", init_constant(log2(length * length - length)), 1, SHAPE(1)));
    struct attention_options options = {.scale = scale > 0 ? scale : 1, .causal = option(s, "causal")};
    return project(s, 3, merge_heads(positioned_attention(s, q, k, v, options)), s->width);
}

static const char *validate(const struct scope *s)
{
    if (validate_heads(s))
        return validate_heads(s);
    if (head_dim(s) % option(s, "groups"))
        return "the head's channels are not divisible by groups";
    if (option(s, "joint") && head_dim(s) * option(s, "heads") != s->width)
        return "one joint matrix takes heads of width / heads channels";
    return NULL;
}

KERNEL(cosine_attention) = {
    .name = "cosine-attention",
    .slot = SLOT_MIXER,
    .variant = "qknorm",
    .summary = "softmax attention whose scores are cosines of queries and keys times a scale",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       REAL_OPTION("scale", 0, 0, 1e6, "of the cosines; 0: learned"),
                       INTEGER_OPTION("length", 1024, 2, 1 << 30,
                                      "of sequences, for which the learned scale starts"),
                       INTEGER_OPTION("groups", 1, 1, 4096, "of a head's channels, normalised each"),
                       FLAG_OPTION("joint", 0, "one matrix holds all four projections"),
                       FLAG_OPTION("bias", 0, "projections have biases"),
                       FLAG_OPTION("pre_norm", 0, "a layer norm comes first"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = causality_by_option,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
