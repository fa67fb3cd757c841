/* MatMul-free LM's channel mixer (matmul-free, section 3.3.2; HGRNBitMLP): a gated MLP of ternary maps, y =
 * B_d(silu(g) * u), (g, u) = B_g(x). */
#include "block/kernel.h"

static tensor *forward(struct scope *s, tensor *x)
{
    /* The published width: 2/3 of expand * D, rounded up to a multiple of 256. */
    int64_t derived = ((int64_t)(option_real(s, "expand") * (double)s->width * 2 / 3) + 255) / 256 * 256;
    int64_t hidden = option_or(s, "hidden", derived);
    tensor *both = ternary_linear(s, "gate_proj", x, 2 * hidden);
    tensor *gate = tensor_activation(tensor_slice(both, 2, 0, hidden), option_choice(s, "activation"));
    return ternary_linear(s, "down_proj", tensor_multiply(gate, tensor_slice(both, 2, hidden, hidden)),
                          s->width);
}

KERNEL(ternary_gated_mlp) = {
    .name = "ternary-gated-mlp",
    .slot = SLOT_FFN,
    .variant = "matmul-free",
    .summary = "a gated feed-forward network with weights -1, 0 and 1",
    .options = OPTIONS(CHOICE_OPTION("activation", "silu|gelu|relu", "of the gate"),
                       REAL_OPTION("expand", 4, 0.01, 64, "sets the hidden channels, 2 / 3 expand * width"),
                       INTEGER_OPTION("hidden", 0, 0, 1 << 24, "hidden channels; 0: by expand")),
    .characters = CHARACTERS({"ffn", "mlp"}, {"ffn-gate", "multiplicative"}),
    .forward = forward,
    .step = forward,
};
