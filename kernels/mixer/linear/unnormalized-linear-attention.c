/* Attention without a softmax and without anything in its place (simpletron, the SimpleTRON layer). Per head,
 * over a sequence of n tokens,
 *
 *     Q = x Wq,  K = x Wk,  V = x Wv,    O = Q (K^T V) / sqrt(n),    y = O Wo
 *
 * The product is taken from the right, so the cost is linear in n. The whole sequence is seen and n is part
 * of the scale: not causal, as in the encoders of the paper. There is no public code; projections are those
 * of the Transformer, whose weights the paper transfers. */
#include "block/kernel.h"
#include <math.h>

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads");
    int64_t d = head_dim(s);
    bool bias = option(s, "bias");
    tensor *q = split_heads(linear(s, "query", x, heads * d, bias), heads);
    tensor *k = split_heads(linear(s, "key", x, heads * d, bias), heads);
    tensor *v = split_heads(linear(s, "value", x, heads * d, bias), heads);
    tensor *o = tensor_scale(whole_linear_product(q, k, v), 1 / sqrt((double)x->shape[1]));
    return linear(s, "output", merge_heads(o), s->width, bias);
}

KERNEL(unnormalized_linear_attention) = {
    .name = "unnormalized-linear-attention",
    .slot = SLOT_MIXER,
    .variant = "simpletron",
    .summary = "queries times the product of keys and values, divided by the root of the length",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       FLAG_OPTION("bias", 1, "projections have biases")),
    .characters = CHARACTERS({"mixing", "linear-attention"}, {"normalizer", "none"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "none"}, {"feature-map", "none"},
                             {"output-gate", "no"}, {"time", "linear"}, {"causality", "bidirectional"}),
    .validate = validate_heads,
    .forward = forward,
};
