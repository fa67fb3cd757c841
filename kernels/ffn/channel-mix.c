/* RWKV-4's channel mixing (rwkv4, section 3.1; RWKV-v4/src/model.py RWKV_ChannelMix). With x' the token
 * before,
 *
 *     r = sigmoid((m_r x + (1 - m_r) x') Wr),  k = relu((m_k x + (1 - m_k) x') Wk)^2,  y = r * (k Wv).
 *
 * RWKV-6 (RWKV_CMix_x060) lets the trained weights, there time_maa_r and time_maa_k, weigh x' instead of x:
 * `weighs` previous. */
#include "block/kernel.h"

static tensor *mix(struct scope *s, const char *which, tensor *x, tensor *before)
{
    return option_is(s, "weighs", "present") ? token_mix(s, part_name(s, "time_mix_%s", which), x, before)
                                             : token_mix(s, part_name(s, "time_maa_%s", which), before, x);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t hidden = option_or(s, "hidden", (int64_t)(option_real(s, "expand") * (double)s->width));
    tensor *before = token_shift(s, "shift", x);
    tensor *k = linear(s, "key", mix(s, "k", x, before), hidden, false);
    tensor *r = linear(s, "receptance", mix(s, "r", x, before), s->width, false);
    tensor *v = linear(s, "value", tensor_square(tensor_relu(k)), s->width, false);
    return tensor_multiply(tensor_sigmoid(r), v);
}

KERNEL(channel_mix) = {
    .name = "channel-mix",
    .slot = SLOT_FFN,
    .variant = "rwkv4",
    .summary = "a squared-relu network gated by a receptance, over mixtures of each token and the one before",
    .options = OPTIONS(REAL_OPTION("expand", 4, 0.01, 64, "hidden channels over width"),
                       INTEGER_OPTION("hidden", 0, 0, 1 << 24, "hidden channels; 0: expand * width"),
                       CHOICE_OPTION("weighs", "present|previous",
                                     "the token that the trained weights weigh")),
    .characters = CHARACTERS({"ffn", "mlp"}, {"ffn-gate", "token-shift"}, {"causality", "causal"},
                             {"state", "vector"}, {"decode-cost", "constant"}, {"time", "linear"}),
    .forward = forward,
    .step = forward,
};
