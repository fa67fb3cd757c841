/* Gated linear units in the feed-forward network (glu, eq. 5 and 6): y = (act(x Wg) * (x Wu)) Wd, without
 * biases. act: sigmoid GLU, relu ReGLU, gelu GEGLU, silu SwiGLU. Parameter names are LLaMA's. */
#include "block/kernel.h"

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t hidden = option_or(s, "hidden", (int64_t)(option_real(s, "expand") * (double)s->width));
    tensor *gate = tensor_activation(linear(s, "gate_proj", x, hidden, option(s, "bias")),
                                     option_choice(s, "activation"));
    tensor *up = linear(s, "up_proj", x, hidden, option(s, "bias"));
    return linear(s, "down_proj", tensor_multiply(gate, up), s->width, option(s, "bias"));
}

KERNEL(gated_mlp) = {
    .name = "gated-mlp",
    .slot = SLOT_FFN,
    .variant = "glu",
    .summary = "a feed-forward network whose hidden layer is gated by a second projection",
    .options = OPTIONS(CHOICE_OPTION("activation", "silu|sigmoid|relu|gelu|gelu_tanh|identity",
                                     "of the gate"),
                       REAL_OPTION("expand", 8.0 / 3, 0.01, 64, "hidden channels over width"),
                       INTEGER_OPTION("hidden", 0, 0, 1 << 24, "hidden channels; 0: expand * width"),
                       FLAG_OPTION("bias", 0, "linear maps have biases")),
    .characters = CHARACTERS({"ffn", "mlp"}, {"ffn-gate", "multiplicative"}),
    .forward = forward,
    .step = forward,
};
