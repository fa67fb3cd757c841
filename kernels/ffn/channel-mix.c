/* RWKV-4's channel mixing (rwkv4, eq. 16 to 18; RWKV-v4/src/model.py RWKV_ChannelMix). With x' the token before,
 *
 *     r = sigmoid((m_r x + (1 - m_r) x') Wr),  k = relu((m_k x + (1 - m_k) x') Wk)^2,  y = r * (k Wv). */
#include "block/kernel.h"

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t hidden = option_or(s, "hidden", 4 * s->width);
    tensor *before = token_shift(s, "shift", x);
    tensor *k = linear(s, "key", token_mix(s, "time_mix_k", x, before), hidden, false);
    tensor *r = linear(s, "receptance", token_mix(s, "time_mix_r", x, before), s->width, false);
    tensor *v = linear(s, "value", tensor_square(tensor_relu(k)), s->width, false);
    return tensor_multiply(tensor_sigmoid(r), v);
}

KERNEL(channel_mix) = {
    .name = "channel-mix",
    .slot = SLOT_FFN,
    .variant = "rwkv4",
    .summary = "a squared-relu network gated by a receptance, over mixtures of each token and the one before",
    .options = OPTIONS(INTEGER_OPTION("hidden", 0, 0, 1 << 24, "hidden channels; 0: 4 * width")),
    .characters = CHARACTERS({"ffn", "mlp"}, {"ffn-gate", "token-shift"}, {"causality", "causal"},
                             {"state", "vector"}, {"decode-cost", "constant"}, {"time", "linear"}),
    .forward = forward,
    .step = forward,
};
