/* Local patch interaction (xcit; facebookresearch/xcit LPI): over the grid of the tokens, two depthwise
 * convolutions with a gelu and a batch norm between,
 *
 *     y = K2 * (gamma (gelu(K1 * x + b1) - mean) / sqrt(variance + 1e-5) + beta) + b2
 *         zeros around the grid
 *
 * The batch norm is that of evaluation, with stored mean and variance, so that entries of a batch stay
 * apart. */
#include "../grid.h"

static tensor *convolution(struct scope *s, const char *name, tensor *x, struct grid grid)
{
    int64_t width = s->width, size = option(s, "conv");
    tensor *weight =
        parameter(s, part_name(s, "%s.weight", name), init_linear(), 4, SHAPE(width, 1, size, size));
    tensor *bias = parameter(s, part_name(s, "%s.bias", name), init_constant(0), 1, SHAPE(width));
    return grid_convolution(x, grid, tensor_reshape(weight, 3, SHAPE(width, size, size)), bias);
}

static tensor *forward(struct scope *s, tensor *x)
{
    struct grid grid = grid_of(s, x->shape[1]);
    tensor *h = tensor_gelu(convolution(s, "conv1", x, grid));
    return convolution(s, "conv2", batch_norm(s, "bn", h, 1e-5), grid);
}

static const char *validate(const struct scope *s)
{
    return option(s, "conv") % 2 == 0 ? "conv must be odd" : NULL;
}

KERNEL(local_patch_interaction) = {
    .name = "local-patch-interaction",
    .slot = SLOT_MIXER,
    .variant = "xcit",
    .summary = "two depthwise convolutions over the grid of the tokens, with a gelu and a batch norm between",
    .options = OPTIONS(INTEGER_OPTION("conv", 3, 1, 255, "rows and columns of the convolutions"),
                       COLUMNS_OPTION),
    .characters = CHARACTERS({"mixing", "convolution"}, {"normalizer", "none"}, {"heads", "per-channel"},
                             {"visibility", "window"}, {"state", "none"}, {"output-gate", "no"},
                             {"time", "linear"}, {"causality", "bidirectional"}),
    .validate = validate,
    .forward = forward,
};
