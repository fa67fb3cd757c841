/* The convolutions of a residual network's block (resnet, section 3.3 and 4.1, figure 5; torchvision's names)
 * over the grid of the tokens,
 *
 *     basic:       y = N2(C2(relu(N1(C1(x)))))                          C1 and C2 of `conv` x `conv` cells
 *     bottleneck:  y = N3(C3(relu(N2(C2(relu(N1(C1(x))))))))
 *         C2 of `conv` x `conv` cells, C1 and C3 of one, through fewer channels
 *
 * without biases, zeros around the grid. N are batch norms. The shortcut and the relu after it are the
 * residual's: rectified-residual. */
#include "../grid.h"

static tensor *convolved(struct scope *s, int number, tensor *x, int64_t size, int64_t outputs)
{
    tensor *weight = parameter(s, part_name(s, "conv%d.weight", number), init_linear(), 4,
                               SHAPE(outputs, x->shape[2], size, size));
    x = grid_full_convolution(x, grid_of(s, x->shape[1]), weight, NULL, 1, size / 2);
    return batch_norm(s, part_name(s, "bn%d", number), x, 1e-5);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t size = option(s, "conv"), hidden = option(s, "bottleneck");
    if (!hidden)
        return convolved(s, 2, tensor_relu(convolved(s, 1, x, size, s->width)), size, s->width);
    x = tensor_relu(convolved(s, 1, x, 1, hidden));
    x = tensor_relu(convolved(s, 2, x, size, hidden));
    return convolved(s, 3, x, 1, s->width);
}

static const char *validate(const struct scope *s)
{
    return option(s, "conv") % 2 == 0 ? "conv must be odd" : NULL;
}

KERNEL(convolution) = {
    .name = "convolution",
    .slot = SLOT_MIXER,
    .variant = "resnet",
    .summary = "two or three convolutions of all channels over the grid, with batch norms",
    .options = OPTIONS(INTEGER_OPTION("conv", 3, 1, 63, "rows and columns of the convolutions"),
                       INTEGER_OPTION("bottleneck", 0, 0, 1 << 16, "channels between three; 0: two"),
                       COLUMNS_OPTION),
    .characters = CHARACTERS({"mixing", "convolution"}, {"normalizer", "none"}, {"heads", "single"},
                             {"visibility", "window"}, {"state", "none"}, {"output-gate", "no"},
                             {"norm", "batch"}, {"time", "linear"}, {"causality", "bidirectional"}),
    .validate = validate,
    .forward = forward,
};
