/* conditional.h: what CoLT5's conditional layers share (colt5, section 3.1; lucidrains/CoLT5-attention
 * CoordinateDescentRouter): the choice of the tokens that a heavy branch takes, and its norm.
 *
 * s_t = x_t . routing_token; n rounds of coordinate descent with e falling from e_0 by a factor to e_1 give a
 * soft choice of k tokens:
 *
 *     a = e (ln k - log sum exp((s + b) / e)),  b = -relu(s + a),  from b = -s;
 *         score = exp((s + a + b) / e),  k = min(ratio K, T)
 *
 * The K tokens that score best are chosen. Straight through, their scores count as 1 and pass gradients on.
 * With no more than K tokens all are chosen, with score 1. */
#ifndef CLADE_KERNELS_CONDITIONAL_H
#define CLADE_KERNELS_CONDITIONAL_H

#include "block/kernel.h"
#include <math.h>

#define ROUTER_OPTIONS                                                                                      \
    FLAG_OPTION("straight_through", 1, "chosen scores count as 1"),                                         \
        INTEGER_OPTION("iterations", 20, 1, 1000, "rounds of coordinate descent"),                          \
        REAL_OPTION("fetch_ratio", 1.125, 1, 100, "tokens that scores sum to, over those that are chosen"), \
        REAL_OPTION("epsilon", 0.03, 1e-6, 100, "smoothness of the choice in the end"),                     \
        REAL_OPTION("epsilon_start", 4, 0, 1000, "and at first"),                                           \
        REAL_OPTION("epsilon_decay", 0.7, 1e-3, 1, "factor from round to round")

/* How far each token is chosen, [B, T]. */
static inline tensor *soft_choice(struct scope *s, tensor *scores, int64_t keep)
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

/* The chosen tokens [B, K, D], their places and scores [B, K, 1]; the last two NULL where all are chosen. */
struct choice {
    tensor *tokens, *places, *scores;
};

static inline struct choice choose(struct scope *s, const char *router, tensor *x, int64_t keep)
{
    int64_t batch = x->shape[0], length = x->shape[1];
    tensor *token =
        parameter(s, part_name(s, "%s.routing_token", router), init_normal(1), 2, SHAPE(1, s->width));
    if (length <= keep)
        return (struct choice){x, NULL, NULL};
    tensor *places, *scores = tensor_reshape(tensor_linear(x, token, NULL), 2, SHAPE(batch, length));
    tensor *chosen = tensor_top_k(soft_choice(s, scores, keep), keep, &places);
    if (option(s, "straight_through"))
        chosen = tensor_straight_through(tensor_full(s->graph, 1, 2, SHAPE(batch, keep)), chosen);
    places = tensor_reshape(places, 3, SHAPE(batch, keep, 1));
    return (struct choice){tensor_gather(x, 1, places), places,
                           tensor_reshape(chosen, 3, SHAPE(batch, keep, 1))};
}

/* x / |x| sqrt(D) gamma, with a parameter NAME.gamma. */
static inline tensor *unit_norm(struct scope *s, const char *name, tensor *x)
{
    tensor *gamma = parameter(s, part_name(s, "%s.gamma", name), init_constant(1), 1, SHAPE(s->width));
    return tensor_multiply(tensor_scale(tensor_l2_norm_max(x, 1e-12), sqrt((double)s->width)), gamma);
}

#endif
