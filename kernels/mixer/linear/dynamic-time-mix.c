/* RWKV-6's time mixing (rwkv6, section 4.2; RWKV-v5/src/model.py RWKV_Tmix_x060). With x' the token before
 * and n = w, k, v, r, g,
 *
 *     z = tanh((x + m_x (x' - x)) W1), in five parts z_n;  x_n = x + (m_n + z_n W2_n) (x' - x)
 *     w_t = exp(-exp(time_decay + tanh(x_w D1) D2)),  r, k, v = x_n W,  gate = silu(x_g Wg)
 *
 * and the state of matrix-time-mix.h. W1, W2, D1 and D2 are stored as they multiply, not transposed. */
#include "matrix-time-mix.h"

enum { MIXED = 5 };

/* x + m (x' - x) with m NAME [1, 1, D], plus `more` [B, T, D] if there is any. */
static tensor *mix(struct scope *s, const char *name, tensor *more, tensor *x, tensor *back)
{
    tensor *m = parameter(s, name, init_uniform(0, 1), 3, SHAPE(1, 1, s->width));
    return tensor_add(x, tensor_multiply(back, more ? tensor_add(m, more) : m));
}

static tensor *forward(struct scope *s, tensor *x)
{
    static const char *const names[MIXED] = {"time_maa_w", "time_maa_k", "time_maa_v", "time_maa_r",
                                             "time_maa_g"};
    int64_t B = x->shape[0], T = x->shape[1], D = s->width, rank = option(s, "mix_rank");
    int64_t inner = time_mix_inner(s), d = option(s, "head_dim");
    tensor *back = tensor_subtract(token_shift(s, "shift", x), x), *mixed[MIXED];
    tensor *down = parameter(s, "time_maa_w1", init_uniform(-1e-4, 1e-4), 2, SHAPE(D, MIXED * rank));
    tensor *up = parameter(s, "time_maa_w2", init_uniform(-0.01, 0.01), 3, SHAPE(MIXED, rank, D));
    tensor *z = tensor_tanh(tensor_matmul(mix(s, "time_maa_x", NULL, x, back), down));
    for (int n = 0; n < MIXED; n++) {
        tensor *own = tensor_reshape(tensor_slice(up, 0, n, 1), 2, SHAPE(rank, D));
        mixed[n] = mix(s, names[n], tensor_matmul(tensor_slice(z, 2, n * rank, rank), own), x, back);
    }
    int64_t decay_rank = option(s, "decay_rank");
    tensor *first = parameter(s, "time_decay_w1", init_uniform(-1e-4, 1e-4), 2, SHAPE(D, decay_rank));
    tensor *second = parameter(s, "time_decay_w2", init_uniform(-0.01, 0.01), 2, SHAPE(decay_rank, inner));
    tensor *speed = parameter(s, "time_decay", init_function(time_mix_decay_speed), 3, SHAPE(1, 1, inner));
    speed = tensor_add(speed, tensor_matmul(tensor_tanh(tensor_matmul(mixed[0], first)), second));
    tensor *log_decay = tensor_reshape(tensor_negate(tensor_exp(speed)), 4, SHAPE(B, T, inner / d, d));
    tensor *k = linear(s, "key", mixed[1], inner, false), *v = linear(s, "value", mixed[2], inner, false);
    tensor *r = linear(s, "receptance", mixed[3], inner, false);
    return time_mix_read(s, r, k, v, tensor_silu(linear(s, "gate", mixed[4], inner, false)), log_decay);
}

KERNEL(dynamic_time_mix) = {
    .name = "dynamic-time-mix",
    .slot = SLOT_MIXER,
    .variant = "rwkv6",
    .summary = "time mixing whose decay and mixture with the token before depend on the input",
    .options = OPTIONS(TIME_MIX_OPTIONS,
                       INTEGER_OPTION("mix_rank", 32, 1, 4096, "rank of each mixture's correction"),
                       INTEGER_OPTION("decay_rank", 64, 1, 4096, "rank of the decay's")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "norm"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "data-dependent"}, {"decay-grain", "channel"}, {"feature-map", "none"},
                             {"output-gate", "yes"}, {"time", "linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .validate = time_mix_validate,
    .forward = forward,
    .step = forward,
};
