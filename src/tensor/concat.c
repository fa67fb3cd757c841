/* Concatenation, padding, rolls and shifts: parts placed in a filled array. */
#include "tensor/operation.h"
#include "tensor/strided.h"
#include <string.h>

struct place {
    int axis;
    int64_t start; /* of the first part */
    double value;  /* of what no part covers */
};

/* Whether x is a row of `size` neighbouring numbers, the axis and those behind it, every so many numbers:
 * `step`. */
static bool has_even_rows(const tensor *x, int axis, int64_t *size, int64_t *step)
{
    int64_t rows = 1;
    *size = 1, *step = 0;
    for (int i = x->rank - 1; i >= 0; i--) {
        int64_t *count = i >= axis ? size : &rows, unit = i >= axis ? 1 : *step;
        if (x->shape[i] == 1)
            continue;
        if (i < axis && rows == 1)
            *step = x->stride[i];
        else if (x->stride[i] != *count * unit)
            return false;
        *count *= x->shape[i];
    }
    return true;
}

/* Places all parts row by row, so that the result is written once from its beginning to its end; says no to
 * parts without even rows. */
static bool place_rows(tensor *y)
{
    const struct place *place = y->attributes;
    struct around around = around_axis(y, place->axis);
    int64_t size[TENSOR_MAX_INPUTS], step[TENSOR_MAX_INPUTS], row = around.length * around.inner;
    if (row < 8 * y->input_count) /* a few numbers a part: a part's column is quicker than its rows */
        return false;
    for (int i = 0; i < y->input_count; i++)
        if (!has_even_rows(y->inputs[i], place->axis, &size[i], &step[i]))
            return false;
#pragma omp parallel for num_threads(threads_for((double)tensor_size(y))) schedule(static)
    for (int64_t outer = 0; outer < around.outer; outer++) {
        real *to = y->data + outer * row + place->start * around.inner;
        for (int i = 0; i < y->input_count; to += size[i++])
            memcpy(to, y->inputs[i]->data + outer * step[i], (size_t)size[i] * sizeof(real));
    }
    return true;
}

static void place_forward(tensor *y)
{
    const struct place *place = y->attributes;
    int64_t covered = 0, at = place->start;
    for (int i = 0; i < y->input_count; i++)
        covered += y->inputs[i]->shape[place->axis];
    if (covered < y->shape[place->axis])
        for (int64_t i = 0, n = tensor_size(y); i < n; i++)
            y->data[i] = (real)place->value;
    if (place_rows(y))
        return;
    for (int i = 0; i < y->input_count; i++) {
        const tensor *x = y->inputs[i];
        strided_copy(x->rank, x->shape, y->data + at * y->stride[place->axis], y->stride, x->data, x->stride,
                     false);
        at += x->shape[place->axis];
    }
}

static void place_backward(tensor *y)
{
    const struct place *place = y->attributes;
    int64_t at = place->start;
    for (int i = 0; i < y->input_count; i++) {
        const tensor *x = y->inputs[i];
        real *dx = input_gradient(y, i);
        if (dx)
            strided_copy(x->rank, x->shape, dx, x->stride, output_gradient(y) + at * y->stride[place->axis],
                         y->stride, true);
        at += x->shape[place->axis];
    }
}

static const struct operation place_operation = {"concat", place_forward, place_backward, 0, false};

static tensor *place(int count, tensor *const *parts, struct place place, int64_t length)
{
    int64_t shape[TENSOR_MAX_RANK];
    memcpy(shape, parts[0]->shape, sizeof shape);
    shape[place.axis] = length;
    return node_create(parts[0]->graph, &place_operation, parts[0]->rank, shape, count, parts, &place,
                       sizeof place);
}

tensor *tensor_concat(int count, tensor *const *parts, int axis)
{
    if (count < 1)
        BUG("concat of nothing");
    axis = axis_index(parts[0], axis);
    if (count == 1)
        return parts[0];
    if (count > TENSOR_MAX_INPUTS) { /* halves, so that any number of parts is copied log n times */
        int chunk = (count + TENSOR_MAX_INPUTS - 1) / TENSOR_MAX_INPUTS, groups = 0;
        tensor *joined[TENSOR_MAX_INPUTS];
        for (int i = 0; i < count; i += chunk)
            joined[groups++] = tensor_concat(chunk < count - i ? chunk : count - i, parts + i, axis);
        return tensor_concat(groups, joined, axis);
    }
    int64_t length = 0;
    for (int i = 0; i < count; i++) {
        bool fits = parts[i]->rank == parts[0]->rank;
        for (int j = 0; fits && j < parts[0]->rank; j++)
            fits = j == axis || parts[i]->shape[j] == parts[0]->shape[j];
        require(fits, parts[i], "concat", "parts that differ along one axis only");
        length += parts[i]->shape[axis];
    }
    return place(count, parts, (struct place){axis, 0, 0}, length);
}

tensor *tensor_pad(tensor *x, int axis, int64_t before, int64_t after, double value)
{
    axis = axis_index(x, axis);
    require(before >= 0 && after >= 0, x, "pad", "a padding that is not negative");
    if (before == 0 && after == 0)
        return x;
    return place(1, &x, (struct place){axis, before, value}, before + x->shape[axis] + after);
}

tensor *tensor_roll(tensor *x, int axis, int64_t shift)
{
    axis = axis_index(x, axis);
    int64_t n = x->shape[axis];
    shift = n ? ((shift % n) + n) % n : 0;
    if (shift == 0)
        return x;
    tensor *parts[] = {tensor_slice(x, axis, n - shift, shift), tensor_slice(x, axis, 0, n - shift)};
    return tensor_concat(2, parts, axis);
}

tensor *tensor_shift(tensor *x, int axis, int64_t by)
{
    axis = axis_index(x, axis);
    int64_t n = x->shape[axis], left = by < 0 ? -by : by;
    if (left == 0)
        return x;
    if (left >= n)
        return tensor_full(x->graph, 0, x->rank, x->shape);
    tensor *part = tensor_slice(x, axis, by < 0 ? left : 0, n - left);
    return by > 0 ? tensor_pad(part, axis, left, 0, 0) : tensor_pad(part, axis, 0, left, 0);
}
