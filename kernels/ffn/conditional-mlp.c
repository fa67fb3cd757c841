/* CoLT5's conditional feed-forward: a light network for every token, a heavy one added for those that a
 * router chooses (colt5, section 3.1; lucidrains/CoLT5-attention ConditionalRoutedFeedForward).
 *
 *     y_t = light(x_t) + [t chosen] score_t heavy(x_t);    either: gelu(rms_norm(x) W1 + b1) W2 + b2
 *
 * The choice: conditional.h. */
#include "conditional.h"

static tensor *network(struct scope *s, const char *name, tensor *x, double expand)
{
    x = unit_norm(s, part_name(s, "%s.0", name), x);
    x = linear(s, part_name(s, "%s.1", name), x, (int64_t)(expand * (double)s->width), true);
    return linear(s, part_name(s, "%s.3", name), tensor_gelu(x), s->width, true);
}

static tensor *forward(struct scope *s, tensor *x)
{
    struct choice chosen = choose(s, "router", x, option(s, "heavy_tokens"));
    tensor *y = network(s, "light_ff", x, option_real(s, "light_expand"));
    tensor *heavy = network(s, "heavy_ff", chosen.tokens, option_real(s, "heavy_expand"));
    if (chosen.places)
        heavy = tensor_scatter_add(tensor_multiply(heavy, chosen.scores), 1, chosen.places, x->shape[1]);
    return tensor_add(y, heavy);
}

KERNEL(conditional_mlp) = {
    .name = "conditional-mlp",
    .slot = SLOT_FFN,
    .variant = "colt5",
    .summary = "a light network for every token and a heavy one for those that a router chooses",
    .options = OPTIONS(INTEGER_OPTION("heavy_tokens", 16, 1, 1 << 24, "tokens that the heavy network takes"),
                       REAL_OPTION("light_expand", 0.5, 0.01, 64, "hidden channels over width, light"),
                       REAL_OPTION("heavy_expand", 4, 0.01, 64, "hidden channels over width, heavy"),
                       ROUTER_OPTIONS),
    .characters = CHARACTERS({"ffn", "experts"}, {"ffn-gate", "none"}, {"causality", "bidirectional"}),
    .forward = forward,
};
