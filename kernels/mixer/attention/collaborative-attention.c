/* Collaborative heads (collaborative-heads; epfml/collaborative-attention CollaborativeAttention). All heads
 * share one projection to queries and one to keys, n channels wide, and differ in how they weigh these
 * channels:
 *
 *     score_h(t, s) = ((q_t * m_h) . k_s + c_h . x_s) / sqrt(n / H),    q = x Wq, k = x Wk, m = mixing [H, n]
 *
 * c = content_bias [H, D] is what biases of a head's keys would give. Values are heads of their own; the
 * output's projection may be left out, and with `output_norm` the layer gives LayerNorm(x + output). */
#include "block/kernel.h"
#include <math.h>

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), shared = option_or(s, "key_dim", s->width);
    int64_t values = option_or(s, "value_dim", s->width);
    tensor *mixing = parameter(s, "mixing", init_normal(0.2), 2, SHAPE(heads, shared));
    tensor *q = tensor_multiply(split_heads(linear(s, "query", x, shared, false), 1), mixing);
    tensor *k = cache_append(s, "key", linear(s, "key", x, shared, false), 0);
    tensor *content = cache_append(s, "content", linear(s, "content_bias", x, heads, false), 0);
    tensor *v = cache_append(s, "value", split_heads(linear(s, "value", x, values, true), heads), 0);
    struct attention_options options = {.scale = 1 / sqrt((double)shared / (double)heads),
                                        .causal = option(s, "causal"),
                                        .offset = k->shape[1] - q->shape[1]};
    content = tensor_scale(tensor_transpose(content, 1, 2), options.scale);
    options.bias = tensor_reshape(content, 4, SHAPE(x->shape[0], heads, 1, k->shape[1]));
    k = repeat_heads(split_heads(k, 1), heads);
    tensor *y = merge_heads(tensor_attention(q, k, v, &options));
    if (option(s, "output"))
        y = linear(s, "dense", y, s->width, true);
    return option(s, "output_norm") ? layer_norm(s, "layer_norm", tensor_add(x, y), 1e-5) : y;
}

static const char *validate(const struct scope *s)
{
    int64_t values = option_or(s, "value_dim", s->width);
    if (values % option(s, "heads"))
        return "value_dim is not divisible by heads";
    if (!option(s, "output") && values != s->width)
        return "without a projection to the output value_dim is the width";
    return NULL;
}

KERNEL(collaborative_attention) = {
    .name = "collaborative-attention",
    .slot = SLOT_MIXER,
    .variant = "collaborative-heads",
    .summary = "heads share queries and keys and weigh their channels by a learned vector each",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("key_dim", 0, 0, 1 << 20,
                                      "channels of queries and keys that heads share; 0: width"),
                       INTEGER_OPTION("value_dim", 0, 0, 1 << 20, "channels of all heads' values; 0: width"),
                       FLAG_OPTION("output", 1, "a projection to the output follows"),
                       FLAG_OPTION("output_norm", 0, "the layer adds its input and norms the sum"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = causality_by_option,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
