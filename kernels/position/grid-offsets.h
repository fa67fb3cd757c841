/* grid-offsets.h: for networks that make a bias of the scores from offsets on a grid. */
#ifndef CLADE_KERNELS_GRID_OFFSETS_H
#define CLADE_KERNELS_GRID_OFFSETS_H

#include "block/kernel.h"

/* Rows and columns from key to query, [(2 rows - 1) (2 columns - 1), 2]. */
static inline tensor *grid_offsets(struct graph *graph, int64_t rows, int64_t columns)
{
    int64_t width = 2 * columns - 1, count = (2 * rows - 1) * width;
    tensor *offsets = tensor_constant(graph, NULL, 2, SHAPE(count, 2));
    for (int64_t n = 0; n < count; n++) {
        offsets->data[2 * n] = (real)(n / width - (rows - 1));
        offsets->data[2 * n + 1] = (real)(n % width - (columns - 1));
    }
    return offsets;
}

/* The network's output for them, [offsets, H], as a grid_bias. */
static inline tensor *bias_of_offsets(tensor *output, int64_t rows, int64_t columns)
{
    return tensor_reshape(tensor_transpose(output, 0, 1), 3,
                          SHAPE(output->shape[1], 2 * rows - 1, 2 * columns - 1));
}

#endif
