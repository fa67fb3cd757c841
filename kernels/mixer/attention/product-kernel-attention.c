/* A product of symmetric kernels (transformer-dissection, its own variant). Attention is a kernel smoother;
 * its kernel is one of contents times one of positions, each symmetric, since queries and keys share their
 * weights, and values have no position:
 *
 *     k(t, s) = exp(<x_t F, x_s F> / sqrt(d)) exp(<p_t P, p_s P> / sqrt(d)),
 *         y_t = sum_{s <= t} k(t, s) x_s V / sum_{s <= t} k(t, s)
 *
 * for each head of d channels, then Wo; p are sinusoids of the width. The logarithm of the product is one
 * scalar product of contents and positions side by side. The published repository holds no code, and the
 * paper's text was not at hand: this follows descriptions of it. */
#include "block/kernel.h"
#include <math.h>

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = head_dim(s), length = x->shape[1];
    tensor *content = split_heads(linear(s, "content_proj", x, heads * d, false), heads);
    tensor *waves = sinusoids(s, length, (struct sinusoids){.first = s->position, .step = 1, .base = 10000});
    waves = tensor_reshape(waves, 3, SHAPE(1, length, s->width));
    tensor *place = split_heads(linear(s, "position_proj", waves, heads * d, false), heads);
    place = tensor_broadcast(place, 4, SHAPE(x->shape[0], length, heads, d));
    tensor *q = tensor_concat(2, (tensor *[]){content, place}, 3);
    tensor *k = cache_append(s, "key", q, 0);
    tensor *v = cache_append(s, "value", split_heads(linear(s, "v_proj", x, heads * d, false), heads), 0);
    struct attention_options options = {
        .scale = 1 / sqrt((double)d), .causal = option(s, "causal"), .offset = k->shape[1] - length};
    return linear(s, "o_proj", merge_heads(tensor_attention(q, k, v, &options)), s->width, false);
}

KERNEL(product_kernel_attention) = {
    .name = "product-kernel-attention",
    .slot = SLOT_MIXER,
    .variant = "transformer-dissection",
    .summary = "weights are a symmetric kernel of contents times one of positions",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"position", "absolute"},
                             {"time", "quadratic"}, {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = causality_by_option,
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
