/* A trained number for every offset on a grid and head is added to the scores: b_h[t - s] (swin-transformer).
 *
 * Swin's table is relative_position_bias_table [(2 w - 1)^2, H] by query - key; NAT's is rpb
 * [H, 2 w - 1, 2 w - 1] by key - query (heads_first). w = `window`; smaller windows take the middle of the
 * table. */
#include "block/kernel.h"

static tensor *grid_bias(struct scope *s, int64_t heads, int64_t rows, int64_t columns)
{
    int64_t window = option(s, "window"), side = 2 * window - 1;
    struct init start = init_normal(0.02);
    tensor *table;
    if (rows > window || columns > window)
        kernel_fail(s, "its table is for windows of %lld x %lld, not %lld x %lld (option window)",
                    (long long)window, (long long)window, (long long)rows, (long long)columns);
    if (option(s, "heads_first")) {
        table = parameter(s, "rpb", start, 3, SHAPE(heads, side, side));
        table = tensor_flip(tensor_flip(table, 1), 2);
    } else {
        table = parameter(s, "relative_position_bias_table", start, 2, SHAPE(side * side, heads));
        table = tensor_reshape(tensor_transpose(table, 0, 1), 3, SHAPE(heads, side, side));
    }
    table = tensor_slice(table, 1, window - rows, 2 * rows - 1);
    return tensor_slice(table, 2, window - columns, 2 * columns - 1);
}

KERNEL(grid_relative_bias) = {
    .name = "grid-relative-bias",
    .slot = SLOT_POSITION,
    .variant = "swin-transformer",
    .summary = "a trained number by rows and columns from key to query is added to the scores",
    .options = OPTIONS(INTEGER_OPTION("window", 7, 1, 1 << 12, "rows and columns of the largest window"),
                       FLAG_OPTION("heads_first", 0, "NAT's table, by the opposite offset")),
    .characters = CHARACTERS({"position", "relative"}),
    .grid_bias = grid_bias,
};
