/* RWKV-4's time mixing (rwkv4, section 3.1; RWKV-v4/src/model.py RWKV_TimeMix). With x' the token before, k,
 * v and r are projections of m x + (1 - m) x'; per channel, w = -exp(time_decay) < 0 and u = time_first,
 *
 *     o_t = (sum_{i<t} e^{(t-1-i) w + k_i} v_i + e^{u + k_t} v_t)
 *           / (sum_{i<t} e^{(t-1-i) w + k_i} + e^{u + k_t})
 *     y = (sigmoid(r) * o) Wo
 *
 * Both sums are scans relative to a running maximum (kept_running_average), so that no exponential
 * overflows. */
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

static tensor *weighted_average(struct scope *s, tensor *k, tensor *v)
{
    tensor *decay = parameter(s, "time_decay", init_function(decay_speed), 1, SHAPE(s->width));
    tensor *u = parameter(s, "time_first", init_function(bonus), 1, SHAPE(s->width));
    struct running_average sums = kept_running_average(s, k, v, tensor_negate(tensor_exp(decay)));
    tensor *now = tensor_add(u, k);
    tensor *m = tensor_stop_gradient(tensor_maximum(sums.maximum_before, now));
    tensor *past = tensor_exp(tensor_subtract(sums.maximum_before, m)),
           *present = tensor_exp(tensor_subtract(now, m));
    tensor *numerator = tensor_add(tensor_multiply(past, sums.values_before), tensor_multiply(present, v));
    return tensor_divide(numerator, tensor_add(tensor_multiply(past, sums.weights_before), present));
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
