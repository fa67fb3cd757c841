/* Dynamic position bias (crossformer; cheerss/CrossFormer DynamicPosBias): a network of two numbers, by how
 * many rows and columns the query stands after the key, makes the bias of the scores, for groups of any size.
 *
 *     f(u) = W relu(LN(u)) + b,   bias = f3(f2(f1(W0 (t - s) + b0))),
 *         with `residual` u + f1(u) and u + f2(u) in place of f1 and f2 */
#include "grid-offsets.h"

static tensor *layer(struct scope *s, int number, tensor *u, int64_t outputs)
{
    tensor *y = tensor_relu(layer_norm(s, part_name(s, "pos%d.0", number), u, 1e-5));
    y = linear(s, part_name(s, "pos%d.2", number), y, outputs, true);
    return option(s, "residual") && number < 3 ? tensor_add(u, y) : y;
}

static tensor *grid_bias(struct scope *s, int64_t heads, int64_t rows, int64_t columns)
{
    int64_t hidden = option_or(s, "hidden", s->width < 16 ? 1 : s->width / 16);
    tensor *u = linear(s, "pos_proj", grid_offsets(s->graph, rows, columns), hidden, true);
    u = layer(s, 3, layer(s, 2, layer(s, 1, u, hidden), hidden), heads);
    return bias_of_offsets(u, rows, columns);
}

KERNEL(dynamic_position_bias) = {
    .name = "dynamic-position-bias",
    .slot = SLOT_POSITION,
    .variant = "crossformer",
    .summary = "a small network of the offset on the grid is added to the scores",
    .options = OPTIONS(INTEGER_OPTION("hidden", 0, 0, 1 << 16,
                                      "channels of the network; 0: a sixteenth of width"),
                       FLAG_OPTION("residual", 0, "its inner layers have residual connections")),
    .characters = CHARACTERS({"position", "relative"}),
    .grid_bias = grid_bias,
};
