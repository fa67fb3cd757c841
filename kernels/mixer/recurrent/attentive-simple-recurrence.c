/* SRU++ (srupp; asappresearch/sru SRUppCell over SRUppAttention): a simple recurrent unit whose product is a
 * narrow attention.
 *
 *     q = linear1(x),   (k, v) = linear2(q),   o = LayerNorm(alpha attention(q, k, v) + q),   U = linear3(o)
 *     h by the simple recurrence of U with the layer's own input as skip,   y = LayerNorm(h)
 *
 * The norms stand after, or before: then x, and q before the attention (not in the residual), are normalised
 * instead. With `hidden` other than the width, linear3 makes the skip too, as its fourth part. */
#include "simple-recurrence.h"
#include <math.h>

static const char *validate(const struct scope *s)
{
    return option(s, "features") % option(s, "heads") ? "features are not divisible by the number of heads"
                                                      : NULL;
}

/* A norm where the option `when` is this place; x unchanged elsewhere. */
static tensor *norm_at(struct scope *s, const char *when, const char *place, const char *name, tensor *x)
{
    return option_is(s, when, place) ? layer_norm(s, name, x, 1e-5) : x;
}

static tensor *attend(struct scope *s, tensor *x, int64_t outputs)
{
    int64_t heads = option(s, "heads"), features = option(s, "features");
    tensor *residual = linear(s, "transform_module.linear1", x, features, false);
    tensor *q = norm_at(s, "attention_norm", "before", "transform_module.layer_norm", residual);
    tensor *kv = linear(s, "transform_module.linear2", q, 2 * features, false);
    tensor *k = split_heads(tensor_slice(kv, 2, 0, features), heads),
           *v = split_heads(tensor_slice(kv, 2, features, features), heads);
    tensor *mixed = positioned_attention(s, split_heads(q, heads), k, v,
                                         (struct attention_options){.causal = option(s, "causal") != 0});
    tensor *alpha = parameter(s, "transform_module.alpha", init_constant(1), 1, SHAPE(1));
    tensor *o = tensor_add(tensor_multiply(merge_heads(mixed), alpha), residual);
    o = norm_at(s, "attention_norm", "after", "transform_module.layer_norm", o);
    return linear(s, "transform_module.linear3", o, outputs, false);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t hidden = option_or(s, "hidden", s->width), batch = x->shape[0], length = x->shape[1];
    double highway_bias = option_real(s, "highway_bias");
    real scale = (real)(option(s, "rescale") ? sqrt(1 + 2 * exp(highway_bias)) : 1);
    tensor *scale_x = buffer(s, "scale_x", init_constant((double)scale), 1, SHAPE(1)), *skip;
    int64_t parts = hidden == s->width ? 3 : 4;
    tensor *u = attend(s, norm_at(s, "norm", "before", "layer_norm", x), parts * hidden);
    if (parts == 3) {
        skip = option(s, "rescale") ? tensor_multiply(x, scale_x) : x;
    } else {
        skip = tensor_contiguous(tensor_slice_step(u, 2, 3, hidden, 4));
        u = tensor_slice(tensor_reshape(u, 4, SHAPE(batch, length, hidden, 4)), 3, 0, 3);
        u = tensor_reshape(u, 3, SHAPE(batch, length, 3 * hidden));
    }
    return norm_at(s, "norm", "after", "layer_norm", simple_recurrence(s, u, skip, highway_bias));
}

KERNEL(attentive_simple_recurrence) = {
    .name = "attentive-simple-recurrence",
    .slot = SLOT_MIXER,
    .variant = "srupp",
    .summary = "an elementwise gated recurrence fed by a narrow attention",
    .options = OPTIONS(INTEGER_OPTION("heads", 1, 1, 1024, "heads of the attention"),
                       INTEGER_OPTION("features", 64, 1, 1 << 16, "channels of the attention"),
                       INTEGER_OPTION("hidden", 0, 0, 1 << 16,
                                      "channels of the recurrence; 0: width, as a block needs"),
                       CHOICE_OPTION("norm", "after|before|none", "place of the layer's norm"),
                       CHOICE_OPTION("attention_norm", "after|before|none", "place of the attention's norm"),
                       FLAG_OPTION("rescale", 0, "the skip is scaled to the variance of the output"),
                       REAL_OPTION("highway_bias", -2, -100, 100, "start of the gates' biases"),
                       FLAG_OPTION("causal", 1, "a query sees only itself and earlier tokens")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"update", "gated"},
                             {"decay", "data-dependent"}, {"decay-grain", "channel"}, {"output-gate", "yes"},
                             {"norm", "layer"}, {"residual", "gated"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = causality_by_option,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
