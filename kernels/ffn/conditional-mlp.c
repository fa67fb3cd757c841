/* CoLT5's conditional feed-forward: a light network for every token, a heavy one added for those that a router chooses (colt5, section
 * 3.1 and 3.2; lucidrains/CoLT5-attention ConditionalRoutedFeedForward and CoordinateDescentRouter).
 *
 *     y_t = light(x_t) + [t chosen] score_t heavy(x_t);    either: gelu(rms_norm(x) W1 + b1) W2 + b2
 *
 * s_t = x_t . routing_token; n rounds of coordinate descent with e falling from e_0 by a factor to e_1 give a soft choice of k tokens:
 *
 *     a = e (ln k - log sum exp((s + b) / e)),  b = -relu(s + a),  from b = -s;     score = exp((s + a + b) / e),  k = min(ratio K, T)
 *
 * The K tokens that score best are chosen. Straight through, their scores count as 1 and pass gradients on. With no more than K tokens
 * all are chosen, with score 1. */
#include "block/kernel.h"
#include <math.h>

static tensor *network(struct scope *s, const char *name, tensor *x, double expand)
{
    tensor *gamma = parameter(s, part_name(s, "%s.0.gamma", name), init_constant(1), 1, SHAPE(s->width));
    x = tensor_scale(tensor_l2_norm_max(x, 1e-12), sqrt((double)s->width));
    x = linear(s, part_name(s, "%s.1", name), tensor_multiply(x, gamma), (int64_t)(expand * (double)s->width),
               true);
    return linear(s, part_name(s, "%s.3", name), tensor_gelu(x), s->width, true);
}

/* How far each token is chosen, [B, T]. */
static tensor *soft_choice(struct scope *s, tensor *scores, int64_t keep)
{
    double last = option_real(s, "epsilon"), decay = option_real(s, "epsilon_decay");
    double e = fmax(option_real(s, "epsilon_start"), last);
    double k = fmin((double)keep * option_real(s, "fetch_ratio"), (double)scores->shape[1]);
    tensor *a = NULL, *b = tensor_negate(scores);
    for (int64_t i = 0; i < option(s, "iterations"); i++) {
        tensor *sum = tensor_log_sum_exp(tensor_scale(tensor_add(scores, b), 1 / e), 1);
        a = tensor_affine(sum, -e, e * log(k));
        b = tensor_negate(tensor_relu(tensor_add(scores, a)));
        e = fmax(e * decay, last);
    }
    return tensor_exp(tensor_scale(tensor_add(tensor_add(scores, a), b), 1 / e));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t batch = x->shape[0], length = x->shape[1], keep = option(s, "heavy_tokens");
    tensor *token = parameter(s, "router.routing_token", init_normal(1), 2, SHAPE(1, s->width));
    tensor *y = network(s, "light_ff", x, option_real(s, "light_expand"));
    if (length <= keep)
        return tensor_add(y, network(s, "heavy_ff", x, option_real(s, "heavy_expand")));
    tensor *places, *scores = tensor_reshape(tensor_linear(x, token, NULL), 2, SHAPE(batch, length));
    tensor *chosen = tensor_top_k(soft_choice(s, scores, keep), keep, &places);
    if (option(s, "straight_through"))
        chosen = tensor_straight_through(tensor_full(s->graph, 1, 2, SHAPE(batch, keep)), chosen);
    places = tensor_reshape(places, 3, SHAPE(batch, keep, 1));
    tensor *heavy = network(s, "heavy_ff", tensor_gather(x, 1, places), option_real(s, "heavy_expand"));
    heavy = tensor_multiply(heavy, tensor_reshape(chosen, 3, SHAPE(batch, keep, 1)));
    return tensor_add(y, tensor_scatter_add(heavy, 1, places, length));
}

KERNEL(conditional_mlp) = {
    .name = "conditional-mlp",
    .slot = SLOT_FFN,
    .variant = "colt5",
    .summary = "a light network for every token and a heavy one for those that a router chooses",
    .options = OPTIONS(INTEGER_OPTION("heavy_tokens", 16, 1, 1 << 24, "tokens that the heavy network takes"),
                       REAL_OPTION("light_expand", 0.5, 0.01, 64, "hidden channels over width, light"),
                       REAL_OPTION("heavy_expand", 4, 0.01, 64, "hidden channels over width, heavy"),
                       FLAG_OPTION("straight_through", 1, "chosen scores count as 1"),
                       INTEGER_OPTION("iterations", 20, 1, 1000, "rounds of coordinate descent"),
                       REAL_OPTION("fetch_ratio", 1.125, 1, 100,
                                   "tokens that scores sum to, over heavy_tokens"),
                       REAL_OPTION("epsilon", 0.03, 1e-6, 100, "smoothness of the choice in the end"),
                       REAL_OPTION("epsilon_start", 4, 0, 1000, "and at first"),
                       REAL_OPTION("epsilon_decay", 0.7, 1e-3, 1, "factor from round to round")),
    .characters = CHARACTERS({"ffn", "experts"}, {"ffn-gate", "none"}, {"causality", "bidirectional"}),
    .forward = forward,
};
