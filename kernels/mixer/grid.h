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

/* The depthwise convolution of an odd size over the grid, zeros around it: x [B, T, C], weight [C, size, size], bias [C] or NULL. Each row
 * of the weight is a convolution along the rows of the grid. */
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

#endif
