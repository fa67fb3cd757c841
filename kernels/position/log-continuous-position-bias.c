/* Log-spaced continuous position bias (swin-v2; microsoft/Swin-Transformer swin_transformer_v2
 * WindowAttention): a network makes the bias of the scores from offsets, so that it carries over to other
 * window sizes.
 *
 *     z = 8 (t - s) / (w - 1),   u = sign(z) log2(1 + |z|) / log2(8)         by rows and by columns
 *     bias_h = 16 sigmoid(W2 relu(W1 u + b1))
 *
 * w is the window's own side, or with `window` that of the training. */
#include "grid-offsets.h"
#include <math.h>

static double divisor(int64_t window)
{
    return window > 1 ? (double)(window - 1) : 1;
}

static tensor *grid_bias(struct scope *s, int64_t heads, int64_t rows, int64_t columns)
{
    tensor *u = grid_offsets(s->graph, rows, columns);
    for (int64_t n = 0; n < tensor_size(u); n++) {
        double z = 8 * (double)u->data[n] / divisor(option_or(s, "window", n % 2 ? columns : rows));
        u->data[n] = (real)copysign(log2(1 + fabs(z)) / log2(8), z);
    }
    u = tensor_relu(linear(s, "cpb_mlp.0", u, option(s, "hidden"), true));
    u = tensor_scale(tensor_sigmoid(linear(s, "cpb_mlp.2", u, heads, false)), 16);
    return bias_of_offsets(u, rows, columns);
}

KERNEL(log_continuous_position_bias) = {
    .name = "log-continuous-position-bias",
    .slot = SLOT_POSITION,
    .variant = "swin-v2",
    .summary = "a small network of log-spaced offsets on the grid is added to the scores",
    .options = OPTIONS(INTEGER_OPTION("hidden", 512, 1, 1 << 16, "channels of the network"),
                       INTEGER_OPTION("window", 0, 0, 1 << 12,
                                      "side of the windows it was trained with; 0: these")),
    .characters = CHARACTERS({"position", "relative"}),
    .grid_bias = grid_bias,
};
