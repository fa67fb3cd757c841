/* Self-Extend (self-extend, section 3.2; datamllab/LongLM self_extend_patch/Llama.py): keys less than w =
 * `window` tokens away keep their true rotary places; those further away share a place in groups of G =
 * `group`,
 *
 *     key j at floor(j / G),   query t at floor(t / G) + w - w / G   (a fraction where G does not divide w)
 *
 * so that the largest distance is T / G + w - w / G. One softmax. With scale_base b > 0 query t is first
 * multiplied by max(1, ln(t + 1) / ln b). */
#include "grouped-heads.h"
#include <math.h>

/* x turned to floor(t / G) + shift for t from s->position on. */
static tensor *turn_by_group(struct scope *s, tensor *x, double shift)
{
    int64_t length = x->shape[1], group = option(s, "group");
    tensor *places = tensor_constant(s->graph, NULL, 1, SHAPE(length));
    for (int64_t t = 0; t < length; t++)
        places->data[t] = (real)((double)((s->position + t) / group) + shift);
    return rotate_to_places(s, x, places->data);
}

static tensor *scale_queries(struct scope *s, tensor *q, double base)
{
    tensor *scale = tensor_constant(s->graph, NULL, 4, SHAPE(1, q->shape[1], 1, 1));
    for (int64_t t = 0; t < q->shape[1]; t++)
        scale->data[t] = (real)fmax(1, log((double)(s->position + t + 1)) / log(base));
    return tensor_multiply(q, scale);
}

static tensor *forward(struct scope *s, tensor *x)
{
    struct projected p = project_heads(s, x);
    double base = option_real(s, "scale_base"), window = (double)option(s, "window");
    if (base > 0)
        p.q = scale_queries(s, p.q, base);
    tensor *far_q = turn_by_group(s, p.q, window - window / (double)option(s, "group"));
    tensor *far_k = cache_append(s, "far_key", turn_by_group(s, p.k, 0), 0);
    tensor *far_v = cache_append(s, "far_value", p.v, 0);
    return join_heads(s, near_and_far_attention(s, p, option(s, "window"), far_q, far_k, far_v));
}

static const char *validate(const struct scope *s)
{
    double base = option_real(s, "scale_base");
    return base > 0 && base <= 1 ? "scale_base is above 1, or 0 for no scaling" : validate_heads(s);
}

KERNEL(grouped_position_attention) = {
    .name = "grouped-position-attention",
    .slot = SLOT_PROCEDURE,
    .variant = "self-extend",
    .summary = "true places nearby, places by groups of tokens beyond a window",
    .options = OPTIONS(GROUPED_HEADS_OPTIONS,
                       INTEGER_OPTION("group", 8, 1, 1 << 20, "tokens that share a place"),
                       INTEGER_OPTION("window", 1024, 1, 1 << 24, "tokens that keep theirs"),
                       REAL_OPTION("scale_base", -1, -1, 1e12,
                                   "queries grow with the logarithm to this base; not above 0: they do not")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
