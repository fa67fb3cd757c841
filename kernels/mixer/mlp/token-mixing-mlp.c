/* MLP-Mixer's token mixing (mlp-mixer; google-research/vision_transformer MixerBlock): an MLP over the
 * tokens, shared by all channels, y = W2 gelu(W1 x + b1) + b2 with W1 [hidden, length] and W2
 * [length, hidden]. Shorter inputs leave the last places empty. */
#include "token-linear.h"

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t length = option(s, "length"), hidden = option_or(s, "hidden", (s->width + 1) / 2);
    if (x->shape[1] > length)
        kernel_fail(s, "it has weights for %lld tokens only (option length)", (long long)length);
    tensor *h = tensor_activation(token_linear(s, "Dense_0", x, length, hidden, hidden),
                                  option_choice(s, "activation"));
    return token_linear(s, "Dense_1", h, hidden, length, x->shape[1]);
}

KERNEL(token_mixing_mlp) = {
    .name = "token-mixing-mlp",
    .slot = SLOT_MIXER,
    .variant = "mlp-mixer",
    .summary = "an MLP over the tokens, the same for every channel",
    .options = OPTIONS(INTEGER_OPTION("length", 1024, 1, 1 << 20, "tokens that have weights"),
                       INTEGER_OPTION("hidden", 0, 0, 1 << 20, "of the MLP; 0: width / 2"),
                       CHOICE_OPTION("activation", "gelu|gelu_tanh|relu|silu", "nonlinearity")),
    .characters = CHARACTERS({"mixing", "learned-matrix"}, {"normalizer", "none"}, {"heads", "single"},
                             {"visibility", "all"}, {"position", "absolute"}, {"output-gate", "no"},
                             {"time", "linear"}, {"causality", "bidirectional"}),
    .forward = forward,
};
