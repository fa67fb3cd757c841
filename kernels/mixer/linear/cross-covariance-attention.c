/* Cross-covariance attention (xcit; facebookresearch/xcit XCA): channels attend to channels. Per head, with
 * the columns of q and k (channels over all T tokens) divided by their norm and a trained temperature tau,
 *
 *     A[c, e] = softmax_e(tau sum_t q[t, c] k[t, e] / (|q[:, c]| |k[:, e]|)),
 *         o[t, c] = sum_e A[c, e] v[t, e]
 *
 * A is d x d, so cost is linear in T. It sums over all tokens: not causal. */
#include "block/kernel.h"

/* 1 / max(norm over the tokens, 1e-12) of each channel of x [B, H, T, d]: [B, H, 1, d] */
static tensor *reciprocal_norms(tensor *x)
{
    return tensor_reciprocal_sqrt(
        tensor_maximum(tensor_sum(tensor_square(x), 2), tensor_scalar(x->graph, 1e-24)));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), width = s->width;
    tensor *qkv = linear(s, "qkv", x, 3 * width, option(s, "bias")), *parts[3];
    for (int i = 0; i < 3; i++)
        parts[i] = tensor_transpose(split_heads(tensor_slice(qkv, 2, i * width, width), heads), 1, 2);
    tensor *scores = tensor_matmul_tn(parts[0], parts[1]); /* [B, H, d, d] */
    scores = tensor_multiply(scores, tensor_transpose(reciprocal_norms(parts[0]), 2, 3));
    scores = tensor_multiply(scores, reciprocal_norms(parts[1]));
    tensor *temperature = parameter(s, "temperature", init_constant(1), 3, SHAPE(heads, 1, 1));
    tensor *weights = tensor_softmax(tensor_multiply(scores, temperature), 3);
    tensor *o = tensor_transpose(tensor_matmul_nt(parts[2], weights), 1, 2);
    return linear(s, "proj", merge_heads(o), width, true);
}

KERNEL(cross_covariance_attention) = {
    .name = "cross-covariance-attention",
    .slot = SLOT_MIXER,
    .variant = "xcit",
    .summary = "channels attend to channels by the normalised products of queries and keys over all tokens",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       FLAG_OPTION("bias", 0, "the projection to q, k and v has a bias")),
    .characters = CHARACTERS({"mixing", "linear-attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "none"}, {"feature-map", "none"},
                             {"output-gate", "no"}, {"time", "linear"}, {"causality", "bidirectional"}),
    .validate = validate_heads,
    .forward = forward,
};
