/* RWKV-5's time mixing (rwkv6, section 4.1; RWKV-v5/src/model.py RWKV_Tmix_x052). With x' the token before,
 * k, v, r and g are projections of m x + (1 - m) x'; the state of matrix-time-mix.h decays by w =
 * exp(-exp(time_decay)), the same for all inputs; the gate is silu(g). */
#include "matrix-time-mix.h"

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t inner = time_mix_inner(s), d = option(s, "head_dim"), heads = inner / d;
    tensor *before = token_shift(s, "shift", x);
    tensor *k = linear(s, "key", token_mix(s, "time_mix_k", x, before), inner, false);
    tensor *v = linear(s, "value", token_mix(s, "time_mix_v", x, before), inner, false);
    tensor *r = linear(s, "receptance", token_mix(s, "time_mix_r", x, before), inner, false);
    tensor *g = linear(s, "gate", token_mix(s, "time_mix_g", x, before), inner, false);
    tensor *speed = parameter(s, "time_decay", init_function(time_mix_decay_speed), 2, SHAPE(heads, d));
    tensor *log_decay =
        tensor_broadcast(tensor_negate(tensor_exp(speed)), 4, SHAPE(x->shape[0], x->shape[1], heads, d));
    return time_mix_read(s, r, k, v, tensor_silu(g), log_decay);
}

KERNEL(matrix_time_mix) = {
    .name = "matrix-time-mix",
    .slot = SLOT_MIXER,
    .variant = "rwkv5",
    .summary = "time mixing with a matrix state per head that decays at a trained rate per key channel",
    .options = OPTIONS(TIME_MIX_OPTIONS),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "norm"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "learned"}, {"decay-grain", "channel"}, {"feature-map", "none"},
                             {"output-gate", "yes"}, {"time", "linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .validate = time_mix_validate,
    .forward = forward,
    .step = forward,
};
