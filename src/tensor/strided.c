#include "tensor/strided.h"
#include "tensor/operation.h"
#include <stdlib.h>
#include <string.h>

enum {
    SQUARE = 32
}; /* rows of one iteration of a parallel loop, and the side of a square that is transposed at once */

void strided_row_major(int rank, const int64_t *shape, int64_t *stride)
{
    int64_t step = 1;
    for (int i = rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= shape[i] ? shape[i] : 1;
    }
}

struct walk {
    int rank;
    int64_t shape[TENSOR_MAX_RANK], target[TENSOR_MAX_RANK], source[TENSOR_MAX_RANK];
    bool add;
};

/* Drops axes of length 1 and joins neighbours that both arrays step through evenly. */
static void collapse(struct walk *walk, int rank, const int64_t *shape, const int64_t *target,
                     const int64_t *source)
{
    walk->rank = 0;
    for (int i = 0; i < rank; i++) {
        if (shape[i] == 1)
            continue;
        int last = walk->rank - 1;
        if (last >= 0 && walk->target[last] == target[i] * shape[i] &&
            walk->source[last] == source[i] * shape[i]) {
            walk->shape[last] *= shape[i];
            walk->target[last] = target[i];
            walk->source[last] = source[i];
        } else {
            walk->shape[walk->rank] = shape[i];
            walk->target[walk->rank] = target[i];
            walk->source[walk->rank++] = source[i];
        }
    }
    if (walk->rank == 0) {
        walk->shape[0] = 1;
        walk->target[0] = walk->source[0] = 1;
        walk->rank = 1;
    }
}

static void copy_row(const struct walk *walk, real *restrict target, const real *restrict source)
{
    int last = walk->rank - 1;
    int64_t n = walk->shape[last], ts = walk->target[last], ss = walk->source[last];
    if (walk->add && ts == 1 && ss == 1)
        for (int64_t i = 0; i < n; i++)
            target[i] += source[i];
    else if (walk->add)
        for (int64_t i = 0; i < n; i++)
            target[i * ts] += source[i * ss];
    else if (ts == 1 && ss == 1)
        memcpy(target, source, (size_t)n * sizeof(real));
    else
        for (int64_t i = 0; i < n; i++)
            target[i * ts] = source[i * ss];
}

static inline void put(real *target, real value, bool add)
{
    *target = add ? *target + value : value;
}

/* A square of a transposition, by way of a copy of it: each side is walked along its own lines, whose
 * distances are often powers of two and then share few places of a cache. */
static void copy_square(const struct walk *walk, real *restrict target, const real *restrict source,
                        int64_t rows, int64_t columns)
{
    enum { PITCH = SQUARE + 1 };
    real square[SQUARE * PITCH];
    int last = walk->rank - 1, row = last - 1;
    int64_t ts = walk->target[last], ss = walk->source[last], ts_row = walk->target[row],
            ss_row = walk->source[row];
    if (llabs(ss) <= llabs(ss_row))
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < columns; j++)
                square[i * PITCH + j] = source[i * ss_row + j * ss];
    else
        for (int64_t j = 0; j < columns; j++)
            for (int64_t i = 0; i < rows; i++)
                square[i * PITCH + j] = source[i * ss_row + j * ss];
    if (llabs(ts) <= llabs(ts_row))
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < columns; j++)
                put(&target[i * ts_row + j * ts], square[i * PITCH + j], walk->add);
    else
        for (int64_t j = 0; j < columns; j++)
            for (int64_t i = 0; i < rows; i++)
                put(&target[i * ts_row + j * ts], square[i * PITCH + j], walk->add);
}

/* `count` rows from the first at target and source. */
static void copy_rows(const struct walk *walk, real *target, const real *source, int64_t count)
{
    int last = walk->rank - 1, row = last - 1;
    bool transposes = llabs(walk->source[row]) < llabs(walk->source[last]) ||
                      llabs(walk->target[row]) < llabs(walk->target[last]);
    if (!transposes) {
        for (int64_t i = 0; i < count; i++)
            copy_row(walk, target + i * walk->target[row], source + i * walk->source[row]);
        return;
    }
    int64_t n = walk->shape[last];
    for (int64_t j = 0; j < n; j += SQUARE)
        copy_square(walk, target + j * walk->target[last], source + j * walk->source[last], count,
                    n - j < SQUARE ? n - j : SQUARE);
}

/* Whether no two indices share a place of the target. Says no to some odd strides that would be fine. */
static bool places_distinct(const struct walk *walk)
{
    int64_t span = 0; /* of the axes with smaller steps */
    bool seen[TENSOR_MAX_RANK] = {false};
    for (int n = 0; n < walk->rank; n++) {
        int least = -1;
        for (int i = 0; i < walk->rank; i++)
            if (!seen[i] && (least < 0 || llabs(walk->target[i]) < llabs(walk->target[least])))
                least = i;
        seen[least] = true;
        if (llabs(walk->target[least]) <= span)
            return false;
        span += (walk->shape[least] - 1) * llabs(walk->target[least]);
    }
    return true;
}

void strided_copy(int rank, const int64_t *shape, real *target, const int64_t *target_stride,
                  const real *source, const int64_t *source_stride, bool add)
{
    double work = 1;
    for (int i = 0; i < rank; i++) {
        if (shape[i] == 0)
            return;
        work *= (double)shape[i];
    }
    struct walk walk = {.add = add};
    collapse(&walk, rank, shape, target_stride, source_stride);
    if (walk.rank == 1) {
        copy_row(&walk, target, source);
        return;
    }
    int row = walk.rank - 2;
    int64_t blocks = (walk.shape[row] + SQUARE - 1) / SQUARE, planes = 1;
    for (int i = 0; i < row; i++)
        planes *= walk.shape[i];
    int threads = places_distinct(&walk) ? threads_for(work) : 1;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t task = 0; task < planes * blocks; task++) {
        int64_t first = task % blocks * SQUARE, plane = task / blocks;
        int64_t to = first * walk.target[row], from = first * walk.source[row];
        for (int i = row - 1; i >= 0; i--) {
            to += plane % walk.shape[i] * walk.target[i];
            from += plane % walk.shape[i] * walk.source[i];
            plane /= walk.shape[i];
        }
        copy_rows(&walk, target + to, source + from,
                  walk.shape[row] - first < SQUARE ? walk.shape[row] - first : SQUARE);
    }
}

struct around around_axis(const tensor *x, int axis)
{
    struct around around = {1, x->shape[axis], 1};
    for (int i = 0; i < axis; i++)
        around.outer *= x->shape[i];
    for (int i = axis + 1; i < x->rank; i++)
        around.inner *= x->shape[i];
    return around;
}
