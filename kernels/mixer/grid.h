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

#endif
