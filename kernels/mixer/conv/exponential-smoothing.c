/* Exponential smoothing of projected tokens per head (metaformer; lucidrains/metaformer-gpt
 * MultiheadExponentialTimeDecay, after etsformer): h_t = (1 - a) h_{t-1} + a (x W_in)_t, y = h W_out, a =
 * sigmoid(alpha) a head. */
#include "block/kernel.h"

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = head_dim(s);
    tensor *p = split_heads(linear(s, "project_in", x, heads * d, false), heads);
    tensor *alpha = parameter(s, "alpha", init_normal(1), 1, SHAPE(heads));
    tensor *a = tensor_reshape(tensor_sigmoid(alpha), 4, SHAPE(1, 1, heads, 1));
    tensor *keep = tensor_reshape(tensor_sigmoid(tensor_negate(alpha)), 4, SHAPE(1, 1, heads, 1));
    tensor *h = kept_scan(s, "h", keep, tensor_multiply(p, a));
    return linear(s, "project_out", merge_heads(h), s->width, false);
}

KERNEL(exponential_smoothing) = {
    .name = "exponential-smoothing",
    .slot = SLOT_MIXER,
    .variant = "metaformer",
    .summary = "a moving average with one trained rate a head",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads, each with a rate"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads")),
    .characters = CHARACTERS({"mixing", "vector-state"}, {"normalizer", "none"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "additive"},
                             {"decay", "learned"}, {"decay-grain", "head"}, {"output-gate", "no"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
