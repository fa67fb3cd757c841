/* row_tile.h: a few strided rows of an array, copied to contiguous ones and back in blocks that stay in
 * cache. */
#ifndef CLADE_TENSOR_ROW_TILE_H
#define CLADE_TENSOR_ROW_TILE_H

#include "tensor/tensor.h"

enum { ROW_TILE = 16 }; /* rows that lie side by side share their cache lines */

struct row_tile {
    int rows;                 /* 1 to ROW_TILE */
    int64_t width;            /* reals of one entry, contiguous: 1, or 2 for complex numbers */
    int64_t length, stride;   /* entries of a row, and the reals from one to the next */
    int64_t offset[ROW_TILE]; /* of each row's first entry, in reals */
};

/* Rows first, first + 1, .. along `axis` of x, all other axes but the last `width - 1` counted row-major;
 * fewer at the end. */
struct row_tile row_tile_of(const tensor *x, int axis, int64_t width, int64_t first);
int64_t row_tile_count(const tensor *x, int axis, int64_t width); /* of the tiles that cover all rows */

/* `tile` holds row r from r * pitch on. A pitch that is a power of two makes rows compete for cache: see
 * row_tile_pitch(). */
void row_tile_read(const struct row_tile *rows, const real *data, real *tile, int64_t pitch);
void row_tile_write(const struct row_tile *rows, const real *tile, int64_t pitch, real *data, bool add);
int64_t row_tile_pitch(int64_t reals); /* at least this many, 64-byte aligned, no power of two */

#endif
