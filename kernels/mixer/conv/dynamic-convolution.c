/* Dynamic and lightweight convolution (dynamic-conv, sections 2 to 4; facebookresearch/fairseq DynamicConv in
 * the pay_less_attention_paper layers). A gated linear unit, a depthwise causal convolution whose taps the
 * channels of a head share, and a linear map:
 *
 *     u = (x W1)_a * sigmoid((x W1)_b),   o_t[c] = sum_{j<K} w_t[h(c), j] u_{t - K + 1 + j}[c],   y = o W2
 *
 * w_t = softmax_j(u_t Q) from the token alone, or trained for all tokens, also softmax-normalised
 * (lightweight). */
#include "block/kernel.h"

/* Taps [B, T, H, K]. */
static tensor *taps_of(struct scope *s, tensor *u)
{
    int64_t heads = option(s, "heads"), size = option(s, "conv"), batch = u->shape[0], length = u->shape[1];
    const int64_t *shape = SHAPE(batch, length, heads, size);
    if (option(s, "dynamic"))
        return tensor_softmax(
            tensor_reshape(linear(s, "conv.weight_linear", u, heads * size, false), 4, shape), 3);
    tensor *weight = parameter(s, "conv.weight", init_linear(), 3, SHAPE(heads, 1, size));
    weight = tensor_softmax(tensor_reshape(weight, 4, SHAPE(1, 1, heads, size)), 3);
    return tensor_broadcast(weight, 4, shape);
}

/* x [B, T, D] after the K - 1 tokens before it, zeros where there were none. */
static tensor *after_earlier(struct scope *s, tensor *x, int64_t earlier)
{
    if (!s->state || earlier == 0)
        return tensor_pad(x, 1, earlier, 0, 0);
    tensor *rows = state(s, "tokens", 0, 3, SHAPE(x->shape[0], earlier, x->shape[2]));
    rows = tensor_concat(2, (tensor *[]){rows, x}, 1);
    state_set(s, "tokens", tensor_slice(rows, 1, rows->shape[1] - earlier, earlier));
    return rows;
}

/* [B, N, H, e] -> [B H, N, e] */
static tensor *heads_first(tensor *x)
{
    return tensor_reshape(tensor_transpose(x, 1, 2), 3,
                          SHAPE(x->shape[0] * x->shape[2], x->shape[1], x->shape[3]));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), earlier = option(s, "conv") - 1, width = s->width, distances[64];
    int64_t batch = x->shape[0], length = x->shape[1];
    tensor *both = linear(s, "linear1", x, 2 * width, true);
    tensor *u =
        tensor_multiply(tensor_slice(both, 2, 0, width), tensor_sigmoid(tensor_slice(both, 2, width, width)));
    /* Rows before the first token are read and give nothing themselves, so the sum around the ring is
     * causal. */
    tensor *weights = tensor_pad(heads_first(taps_of(s, u)), 1, earlier, 0, 0);
    for (int64_t j = 0; j <= earlier; j++)
        distances[j] = j - earlier;
    tensor *o =
        tensor_ring_sum(heads_first(split_heads(after_earlier(s, u, earlier), heads)), weights, distances);
    o = tensor_reshape(tensor_slice(o, 1, earlier, length), 4, SHAPE(batch, heads, length, width / heads));
    return linear(s, "linear2", merge_heads(tensor_transpose(o, 1, 2)), width, true);
}

KERNEL(dynamic_convolution) = {
    .name = "dynamic-convolution",
    .slot = SLOT_MIXER,
    .variant = "dynamic-conv",
    .summary =
        "a short convolution whose normalised taps are predicted from each token, after a gated linear unit",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "groups of channels with taps of their own"),
                       INTEGER_OPTION("conv", 31, 1, 64, "taps"),
                       FLAG_OPTION("dynamic", 1, "taps are predicted, not trained for all tokens")),
    .characters = CHARACTERS({"mixing", "convolution"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "window"}, {"state", "window-cache"}, {"output-gate", "no"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
