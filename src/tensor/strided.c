#include "tensor/strided.h"
#include "tensor/operation.h"
#include <string.h>

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

static void copy_axes(const struct walk *walk, int axis, real *target, const real *source)
{
    if (axis == walk->rank - 1) {
        copy_row(walk, target, source);
        return;
    }
    for (int64_t i = 0; i < walk->shape[axis]; i++)
        copy_axes(walk, axis + 1, target + i * walk->target[axis], source + i * walk->source[axis]);
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
    if (add || walk.rank == 1 || threads_for(work) == 1) {
        copy_axes(&walk, 0, target, source);
        return;
    }
    /* Two outer axes as one parallel loop. */
    int64_t second = walk.rank > 2 ? walk.shape[1] : 1;
    int inner = walk.rank > 2 ? 2 : 1;
#pragma omp parallel for num_threads(threads_for(work)) schedule(static)
    for (int64_t i = 0; i < walk.shape[0] * second; i++)
        copy_axes(&walk, inner,
                  target + i / second * walk.target[0] + (inner == 2 ? i % second * walk.target[1] : 0),
                  source + i / second * walk.source[0] + (inner == 2 ? i % second * walk.source[1] : 0));
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
