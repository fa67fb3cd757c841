/* The position-wise feed-forward network (transformer, section 3.3): y = act(x W1 + b1) W2 + b2, with GPT's
 * gelu by default. With a bottleneck r each map is a product of two thin ones through D / r channels
 * (low-rank-transformer). `keep` leaves each token only its largest hidden units (top-k-attention). */
#include "block/kernel.h"

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t hidden = option_or(s, "hidden", (int64_t)(option_real(s, "expand") * (double)s->width));
    int64_t rank = option(s, "bottleneck") ? s->width / option(s, "bottleneck") : 0;
    bool bias = option(s, "bias");
    tensor *units = low_rank_linear(s, "up_proj", x, rank, hidden, bias);
    tensor *h = tensor_activation(units, option_choice(s, "activation"));
    int64_t keep = option(s, "keep");
    if (keep && keep < hidden) {
        tensor *best = tensor_top_k(tensor_stop_gradient(units), keep, NULL);
        tensor *below = tensor_greater(tensor_slice(best, -1, keep - 1, 1), units);
        h = tensor_where(below, tensor_scalar(s->graph, 0), h);
    }
    return low_rank_linear(s, "down_proj", h, rank, s->width, bias);
}

static const char *validate(const struct scope *s)
{
    return option(s, "bottleneck") > s->width ? "the bottleneck leaves no channels" : NULL;
}

KERNEL(mlp) = {
    .name = "mlp",
    .slot = SLOT_FFN,
    .variant = "transformer",
    .summary = "two linear maps with a nonlinearity between",
    .options = OPTIONS(
        CHOICE_OPTION("activation", "gelu_tanh|gelu|relu|relu2|silu|tanh|sigmoid|identity", "nonlinearity"),
        REAL_OPTION("expand", 4, 0.01, 64, "hidden channels over width"),
        INTEGER_OPTION("hidden", 0, 0, 1 << 24, "hidden channels; 0: expand * width"),
        INTEGER_OPTION("bottleneck", 0, 0, 1 << 16, "width over the rank of each map; 0: full rank"),
        INTEGER_OPTION("keep", 0, 0, 1 << 24, "largest hidden units of a token kept; 0: all"),
        FLAG_OPTION("bias", 1, "linear maps have biases")),
    .characters = CHARACTERS({"ffn", "mlp"}, {"ffn-gate", "none"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
