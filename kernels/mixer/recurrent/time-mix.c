/* RWKV-4's time mixing (rwkv4, eq. 11 to 15; RWKV-v4/src/model.py RWKV_TimeMix). With x' the token before, k, v and r are
 * projections of m x + (1 - m) x'; per channel, w = -exp(time_decay) < 0 and u = time_first,
 *
 *     o_t = (sum_{i<t} e^{(t-1-i) w + k_i} v_i + e^{u + k_t} v_t) / (sum_{i<t} e^{(t-1-i) w + k_i} + e^{u + k_t})
 *     y = (sigmoid(r) * o) Wo
 *
 * Both sums are scans, kept relative to exp(p_t), p_t = max_{i<=t} (t - i) w + k_i, so that no exponential overflows. o does
 * not depend on p, which carries no gradient. */
#include "block/kernel.h"
#include <math.h>

/* Published initial decays: -5 to 3 across the channels, by layer. */
static void decay_speed(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)rank;
    double depth = s->layers > 1 ? (double)s->layer / (double)(s->layers - 1) : 0;
    for (int64_t i = 0; i < shape[0]; i++)
        values[i] =
            (real)(-5 + 8 * pow((double)i / (double)(shape[0] > 1 ? shape[0] - 1 : 1), 0.7 + 1.3 * depth));
}

static void bonus(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)s, (void)rank;
    for (int64_t i = 0; i < shape[0]; i++)
        values[i] = (real)(log(0.3) + 0.5 * (double)((i + 1) % 3 - 1));
}

/* The state's value of the step before at every t: (first, y_0, .., y_{T-2}). */
static tensor *one_earlier(tensor *first, tensor *y)
{
    if (y->shape[1] == 1)
        return first;
    return tensor_concat(2, (tensor *[]){first, tensor_slice(y, 1, 0, y->shape[1] - 1)}, 1);
}

static tensor *initial(struct scope *s, const char *name, double value, const int64_t *shape)
{
    return s->state ? state(s, name, value, 3, shape) : tensor_full(s->graph, value, 3, shape);
}

static tensor *weighted_average(struct scope *s, tensor *k, tensor *v)
{
    int64_t length = k->shape[1];
    const int64_t *shape = SHAPE(k->shape[0], 1, s->width);
    tensor *w =
        tensor_negate(tensor_exp(parameter(s, "time_decay", init_function(decay_speed), 1, SHAPE(s->width))));
    tensor *u = parameter(s, "time_first", init_function(bonus), 1, SHAPE(s->width));
    tensor *p0 = initial(s, "maximum", -1e30, shape), *a0 = initial(s, "numerator", 0, shape);
    tensor *b0 = initial(s, "denominator", 0, shape);

    tensor *time = tensor_reshape(tensor_range(s->graph, 1, length, 1), 3, SHAPE(1, length, 1));
    tensor *elapsed = tensor_multiply(time, tensor_reshape(w, 3, SHAPE(1, 1, s->width))); /* t w */
    tensor *p =
        tensor_add(tensor_maximum(tensor_cumulative_max(tensor_subtract(k, elapsed), 1), p0), elapsed);
    p = tensor_stop_gradient(p);
    tensor *p_before = tensor_stop_gradient(one_earlier(p0, p));
    tensor *decay = tensor_exp(tensor_subtract(tensor_add(p_before, w), p));
    tensor *weight = tensor_exp(tensor_subtract(k, p));
    tensor *a_end, *b_end;
    tensor *a = one_earlier(a0, tensor_scan(decay, tensor_multiply(weight, v), a0, &a_end));
    tensor *b = one_earlier(b0, tensor_scan(decay, weight, b0, &b_end));
    if (s->state) {
        state_set(s, "maximum", tensor_slice(p, 1, -1, 1));
        state_set(s, "numerator", a_end);
        state_set(s, "denominator", b_end);
    }
    tensor *now = tensor_add(u, k);
    tensor *m = tensor_stop_gradient(tensor_maximum(p_before, now));
    tensor *past = tensor_exp(tensor_subtract(p_before, m)), *present = tensor_exp(tensor_subtract(now, m));
    tensor *numerator = tensor_add(tensor_multiply(past, a), tensor_multiply(present, v));
    return tensor_divide(numerator, tensor_add(tensor_multiply(past, b), present));
}

static tensor *forward(struct scope *s, tensor *x)
{
    tensor *before = token_shift(s, "shift", x);
    tensor *k = linear(s, "key", token_mix(s, "time_mix_k", x, before), s->width, false);
    tensor *v = linear(s, "value", token_mix(s, "time_mix_v", x, before), s->width, false);
    tensor *r = linear(s, "receptance", token_mix(s, "time_mix_r", x, before), s->width, false);
    return linear(s, "output", tensor_multiply(tensor_sigmoid(r), weighted_average(s, k, v)), s->width,
                  false);
}

KERNEL(time_mix) = {
    .name = "time-mix",
    .slot = SLOT_MIXER,
    .variant = "rwkv4",
    .summary = "an exponentially decaying weighted average per channel, with a bonus for the present token",
    .characters = CHARACTERS({"mixing", "vector-state"}, {"normalizer", "sum"}, {"heads", "per-channel"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "additive"},
                             {"decay", "learned"}, {"decay-grain", "channel"}, {"feature-map", "exponential"},
                             {"output-gate", "yes"}, {"time", "linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .forward = forward,
    .step = forward,
};
