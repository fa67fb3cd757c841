#include "tensor/row_tile.h"

enum { BLOCK = 16 }; /* entries of every row copied before the next ones */

static int64_t count_rows(const tensor *x, int axis, int64_t width)
{
    int64_t rows = 1;
    for (int i = 0; i < x->rank - (width > 1); i++)
        rows *= i == axis ? 1 : x->shape[i];
    return rows;
}

int64_t row_tile_count(const tensor *x, int axis, int64_t width)
{
    return (count_rows(x, axis, width) + ROW_TILE - 1) / ROW_TILE;
}

static int64_t row_offset(const tensor *x, int axis, int64_t width, int64_t row)
{
    int64_t offset = 0;
    for (int i = x->rank - 1 - (width > 1); i >= 0; i--) {
        if (i == axis)
            continue;
        offset += row % x->shape[i] * x->stride[i];
        row /= x->shape[i];
    }
    return offset;
}

struct row_tile row_tile_of(const tensor *x, int axis, int64_t width, int64_t first)
{
    int64_t left = count_rows(x, axis, width) - first;
    struct row_tile tile = {.rows = left < ROW_TILE ? (int)left : ROW_TILE,
                            .width = width,
                            .length = x->shape[axis],
                            .stride = x->stride[axis]};
    for (int r = 0; r < tile.rows; r++)
        tile.offset[r] = row_offset(x, axis, width, first + r);
    return tile;
}

#ifdef CLADE_DOUBLE
typedef int64_t whole;
#else
typedef int32_t whole;
#endif
typedef whole places __attribute__((vector_size(4 * sizeof(real))));
typedef real quad __attribute__((vector_size(4 * sizeof(real)), aligned(sizeof(real)), may_alias));

/* A square of four by four, rows `step` apart, to columns. */
static inline void turn(const real *source, int64_t step, real *target, int64_t pitch, bool add)
{
    const quad a = *(const quad *)source, b = *(const quad *)(source + step),
               c = *(const quad *)(source + 2 * step), d = *(const quad *)(source + 3 * step);
    const places low = {0, 4, 1, 5}, high = {2, 6, 3, 7};
    quad ac = __builtin_shuffle(a, c, low), bd = __builtin_shuffle(b, d, low);
    quad columns[4] = {__builtin_shuffle(ac, bd, low), __builtin_shuffle(ac, bd, high)};
    ac = __builtin_shuffle(a, c, high);
    bd = __builtin_shuffle(b, d, high);
    columns[2] = __builtin_shuffle(ac, bd, low);
    columns[3] = __builtin_shuffle(ac, bd, high);
    for (int i = 0; i < 4; i++) {
        quad *to = (quad *)(target + i * pitch);
        if (add)
            columns[i] += *to;
        *to = columns[i];
    }
}

/* The entries of rows that are turned in squares: those of real numbers side by side. */
static int64_t turned(const struct row_tile *rows)
{
    bool beside = rows->width == 1 && rows->rows % 4 == 0;
    for (int r = 1; r < rows->rows; r++)
        beside = beside && rows->offset[r] == rows->offset[0] + r;
    return beside ? rows->length / 4 * 4 : 0;
}

static void read_row(const struct row_tile *rows, const real *restrict source, real *restrict target,
                     int64_t start, int64_t end)
{
    if (rows->width == 1)
        for (int64_t i = start; i < end; i++)
            target[i] = source[i * rows->stride];
    else
        for (int64_t i = start; i < end; i++) {
            target[2 * i] = source[i * rows->stride];
            target[2 * i + 1] = source[i * rows->stride + 1];
        }
}

void row_tile_read(const struct row_tile *rows, const real *data, real *tile, int64_t pitch)
{
    int64_t first = turned(rows);
    for (int64_t i = 0; i < first; i += 4)
        for (int r = 0; r < rows->rows; r += 4)
            turn(data + rows->offset[r] + i * rows->stride, rows->stride, tile + r * pitch + i, pitch, false);
    for (int64_t start = first; start < rows->length; start += BLOCK) {
        int64_t end = start + BLOCK < rows->length ? start + BLOCK : rows->length;
        for (int r = 0; r < rows->rows; r++)
            read_row(rows, data + rows->offset[r], tile + r * pitch, start, end);
    }
}

static void write_row(const struct row_tile *rows, const real *restrict source, real *restrict target,
                      int64_t start, int64_t end)
{
    for (int64_t i = start; i < end; i++)
        for (int64_t part = 0; part < rows->width; part++)
            target[i * rows->stride + part] = source[i * rows->width + part];
}

static void add_row(const struct row_tile *rows, const real *restrict source, real *restrict target,
                    int64_t start, int64_t end)
{
    for (int64_t i = start; i < end; i++)
        for (int64_t part = 0; part < rows->width; part++)
            target[i * rows->stride + part] += source[i * rows->width + part];
}

void row_tile_write(const struct row_tile *rows, const real *tile, int64_t pitch, real *data, bool add)
{
    int64_t first = turned(rows);
    for (int64_t i = 0; i < first; i += 4)
        for (int r = 0; r < rows->rows; r += 4)
            turn(tile + r * pitch + i, pitch, data + rows->offset[r] + i * rows->stride, rows->stride, add);
    for (int64_t start = first; start < rows->length; start += BLOCK) {
        int64_t end = start + BLOCK < rows->length ? start + BLOCK : rows->length;
        for (int r = 0; r < rows->rows; r++)
            (add ? add_row : write_row)(rows, tile + r * pitch, data + rows->offset[r], start, end);
    }
}

int64_t row_tile_pitch(int64_t reals)
{
    int64_t line = 64 / (int64_t)sizeof(real);
    int64_t lines = (reals + line - 1) / line;
    return (lines | 1) * line;
}
