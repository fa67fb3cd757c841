/* The position-wise feed-forward network (transformer, eq. 2): y = act(x W1 + b1) W2 + b2, with GPT's gelu by
 * default. */
#include "block/kernel.h"

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t hidden = option_or(s, "hidden", (int64_t)(option_real(s, "expand") * (double)s->width));
    tensor *h =
        tensor_activation(linear(s, "up_proj", x, hidden, option(s, "bias")), option_choice(s, "activation"));
    return linear(s, "down_proj", h, s->width, option(s, "bias"));
}

KERNEL(mlp) = {
    .name = "mlp",
    .slot = SLOT_FFN,
    .variant = "transformer",
    .summary = "two linear maps with a nonlinearity between",
    .options = OPTIONS(CHOICE_OPTION("activation", "gelu_tanh|gelu|relu|relu2|silu|tanh|sigmoid|identity",
                                     "nonlinearity"),
                       REAL_OPTION("expand", 4, 0.01, 64, "hidden channels over width"),
                       INTEGER_OPTION("hidden", 0, 0, 1 << 24, "hidden channels; 0: expand * width"),
                       FLAG_OPTION("bias", 1, "linear maps have biases")),
    .characters = CHARACTERS({"ffn", "mlp"}, {"ffn-gate", "none"}),
    .forward = forward,
    .step = forward,
};
