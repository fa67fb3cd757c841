/* grid.h: a sequence as the rows of a grid, one after the other, for methods made for images. */
#ifndef CLADE_KERNELS_GRID_H
#define CLADE_KERNELS_GRID_H

#include "block/kernel.h"

#define COLUMNS_OPTION \
    INTEGER_OPTION("columns", 0, 0, 1 << 20, "tokens of a row of the grid; 0: the squarest grid")

struct grid {
    int64_t rows, columns;
};

/* The grid of `length` tokens, by the option `columns`. */
static inline struct grid grid_of(struct scope *s, int64_t length)
{
    int64_t columns = option(s, "columns"), rows = 1;
    if (columns && length % columns)
        kernel_fail(s, "%lld tokens do not fill rows of %lld (option columns)", (long long)length,
                    (long long)columns);
    for (int64_t r = 1; r * r <= length; r++)
        rows = length % r == 0 ? r : rows;
    return columns ? (struct grid){length / columns, columns} : (struct grid){rows, length / rows};
}

/* The depthwise convolution of an odd size over the grid, zeros around it: x [B, T, C], weight
 * [C, size, size], bias [C] or NULL. Each row of the weight is a convolution along the rows of the grid. */
static inline tensor *grid_convolution(tensor *x, struct grid grid, tensor *weight, tensor *bias)
{
    int64_t batch = x->shape[0], channels = x->shape[2], size = weight->shape[1], reach = size / 2;
    tensor *cells = tensor_reshape(x, 4, SHAPE(batch, grid.rows, grid.columns, channels)), *y = NULL;
    for (int64_t i = 0; i < size; i++) {
        tensor *rows = tensor_pad(tensor_shift(cells, 1, reach - i), 2, 0, reach, 0);
        rows = tensor_reshape(rows, 3, SHAPE(batch * grid.rows, grid.columns + reach, channels));
        tensor *taps = tensor_reshape(tensor_slice(weight, 1, i, 1), 2, SHAPE(channels, size));
        rows = tensor_causal_convolution(rows, taps, i == 0 ? bias : NULL, NULL);
        rows = tensor_slice(rows, 1, reach, grid.columns);
        y = y ? tensor_add(y, rows) : rows;
    }
    return tensor_reshape(y, 3, x->shape);
}

/* The size x size cells at every `stride`-th place of cells [B, rows, columns, C] with `before` and `after`
 * cells of `fill` around them: [B, r, size, c, size, C]. */
static inline tensor *grid_windows(tensor *cells, int64_t size, int64_t stride, int64_t before, int64_t after,
                                   double fill)
{
    for (int axis = 1; axis <= 2; axis++)
        cells = tensor_pad(cells, axis, before, after, fill);
    return tensor_windows(tensor_windows(cells, 1, size, stride), 3, size, stride);
}

/* The convolution of all channels over the grid, at every `stride`-th place, with `around` cells of zeros: x
 * [B, T, C], weight [O, C, size, size], bias [O] or NULL -> [B, r c, O]. */
static inline tensor *grid_full_convolution(tensor *x, struct grid grid, tensor *weight, tensor *bias,
                                            int64_t stride, int64_t around)
{
    int64_t batch = x->shape[0], channels = x->shape[2], outputs = weight->shape[0], size = weight->shape[2];
    x = tensor_reshape(x, 4, SHAPE(batch, grid.rows, grid.columns, channels));
    x = grid_windows(x, size, stride, around, around, 0);
    int64_t places = x->shape[1] * x->shape[3], inputs = size * size * channels;
    x = tensor_permute(x, (const int[]){0, 1, 3, 2, 4, 5});
    weight = tensor_permute(weight, (const int[]){0, 2, 3, 1});
    return tensor_linear(tensor_reshape(x, 3, SHAPE(batch, places, inputs)),
                         tensor_reshape(weight, 2, SHAPE(outputs, inputs)), bias);
}

#endif
