/* UFO-ViT's attention by cross normalisation (ufo-vit; External-Attention-pytorch UFOAttention). Per head,
 *
 *     A = sum_t k_t v_t^T,   XNorm(u) = gamma_h u / |u| over the last axis,   y_t = XNorm(q_t) XNorm(A)
 *
 * over the whole sequence: not causal. */
#include "block/kernel.h"

static tensor *cross_norm(struct scope *s, tensor *x, tensor *gamma)
{
    (void)s;
    return tensor_multiply(tensor_l2_norm_max(x, 1e-30), gamma);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads");
    int64_t dk = option_or(s, "key_dim", s->width / heads);
    int64_t dv = option_or(s, "value_dim", s->width / heads);
    tensor *gamma = parameter(s, "gamma", init_constant(1), 4, SHAPE(1, heads, 1, 1));
    tensor *q = tensor_transpose(split_heads(linear(s, "fc_q", x, heads * dk, true), heads), 1, 2);
    tensor *k = tensor_transpose(split_heads(linear(s, "fc_k", x, heads * dk, true), heads), 1, 2);
    tensor *v = tensor_transpose(split_heads(linear(s, "fc_v", x, heads * dv, true), heads), 1, 2);
    tensor *y = tensor_matmul(cross_norm(s, q, gamma), cross_norm(s, tensor_matmul_tn(k, v), gamma));
    return linear(s, "fc_o", merge_heads(tensor_transpose(y, 1, 2)), s->width, true);
}

static const char *validate(const struct scope *s)
{
    bool derived = !option(s, "key_dim") || !option(s, "value_dim");
    return derived && s->width % option(s, "heads") ? "the width is not divisible by the number of heads"
                                                    : NULL;
}

KERNEL(cross_normalized_attention) = {
    .name = "cross-normalized-attention",
    .slot = SLOT_MIXER,
    .variant = "ufo-vit",
    .summary = "keys meet values first; queries and their product are normalised in place of a softmax",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("key_dim", 0, 0, 4096, "channels of a key head; 0: width / heads"),
                       INTEGER_OPTION("value_dim", 0, 0, 4096, "channels of a value head; 0: width / heads")),
    .characters = CHARACTERS({"mixing", "linear-attention"}, {"normalizer", "norm"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "none"}, {"feature-map", "none"},
                             {"output-gate", "no"}, {"time", "linear"}, {"causality", "bidirectional"}),
    .validate = validate,
    .forward = forward,
};
