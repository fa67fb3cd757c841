/* Separable self-attention (separable-attention; apple/ml-cvnets LinearSelfAttention). One projection gives
 * each token a score and a key and a value of D channels; all tokens make one context vector, which every
 * value meets channel by channel:
 *
 *     c = sum_t softmax_t(q_t) k_t,    y_t = (c * relu(v_t)) Wo
 *
 * The context sums up the whole sequence: not causal. */
#include "block/kernel.h"

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t width = s->width;
    tensor *qkv = linear(s, "qkv_proj", x, 1 + 2 * width, option(s, "bias"));
    tensor *scores = tensor_softmax(tensor_slice(qkv, 2, 0, 1), 1);
    tensor *context = tensor_matmul_tn(scores, tensor_slice(qkv, 2, 1, width)); /* [B, 1, D] */
    tensor *y = tensor_multiply(context, tensor_relu(tensor_slice(qkv, 2, 1 + width, width)));
    return linear(s, "out_proj", y, width, option(s, "bias"));
}

KERNEL(separable_attention) = {
    .name = "separable-attention",
    .slot = SLOT_MIXER,
    .variant = "separable-attention",
    .summary = "one context vector, a weighted sum of all keys, multiplies the rectified value of each token",
    .options = OPTIONS(FLAG_OPTION("bias", 1, "projections have biases")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "single"},
                             {"visibility", "compressed"}, {"state", "none"}, {"output-gate", "yes"},
                             {"time", "linear"}, {"causality", "bidirectional"}),
    .forward = forward,
};
