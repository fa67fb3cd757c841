/* Views and copies. */
#include "tensor/operation.h"
#include "tensor/strided.h"
#include <stdio.h>
#include <string.h>

int64_t tensor_size(const tensor *x)
{
    int64_t size = 1;
    for (int i = 0; i < x->rank; i++)
        size *= x->shape[i];
    return size;
}

const char *shape_text(const tensor *x)
{
    char text[128] = "[";
    for (int i = 0; i < x->rank; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%lld", i ? ", " : "", (long long)x->shape[i]);
    }
    return arena_format(graph_arena(x->graph), "%s]", text);
}

void require(bool ok, const tensor *x, const char *name, const char *what)
{
    if (!ok)
        graph_raise(x->graph, STATUS_USAGE, "%s: expected %s, got %s", name, what, shape_text(x));
}

int axis_index(const tensor *x, int axis)
{
    int index = axis < 0 ? axis + x->rank : axis;
    if (index < 0 || index >= x->rank)
        graph_raise(x->graph, STATUS_USAGE, "axis %d is outside a tensor of shape %s", axis, shape_text(x));
    return index;
}

int64_t tensor_length(const tensor *x, int axis)
{
    return x->shape[axis_index(x, axis)];
}

bool tensor_is_contiguous(const tensor *x)
{
    int64_t stride = 1;
    for (int i = x->rank - 1; i >= 0; i--) {
        if (x->shape[i] != 1 && x->stride[i] != stride)
            return false;
        stride *= x->shape[i];
    }
    return true;
}

/* ---- A copy through any strides ---- */

struct copy {
    int64_t stride[TENSOR_MAX_RANK]; /* of the source, in elements, per axis of the result */
    int64_t offset;
};

static void copy_forward(tensor *y)
{
    const struct copy *copy = y->attributes;
    strided_copy(y->rank, y->shape, y->data, y->stride, y->inputs[0]->data + copy->offset, copy->stride,
                 false);
}

static void copy_backward(tensor *y)
{
    const struct copy *copy = y->attributes;
    real *dx = input_gradient(y, 0);
    if (dx)
        strided_copy(y->rank, y->shape, dx + copy->offset, copy->stride, output_gradient(y), y->stride, true);
}

static const struct operation copy_operation = {"copy", copy_forward, copy_backward, 0, false};

static tensor *strided_copy_of(tensor *x, int rank, const int64_t *shape, const int64_t *stride,
                               int64_t offset)
{
    struct copy copy = {.offset = offset};
    memcpy(copy.stride, stride, (size_t)rank * sizeof *stride);
    return node_create(x->graph, &copy_operation, rank, shape, 1, &x, &copy, sizeof copy);
}

tensor *tensor_contiguous(tensor *x)
{
    return tensor_is_contiguous(x) ? x : strided_copy_of(x, x->rank, x->shape, x->stride, 0);
}

tensor *with_contiguous_rows(tensor *x)
{
    return x->stride[x->rank - 1] == 1 || x->shape[x->rank - 1] == 1 ? x : tensor_contiguous(x);
}

/* ---- Views ---- */

/* Strides of x seen in another shape, or false if that takes a copy. */
static bool reshape_strides(const tensor *x, int rank, const int64_t *shape, int64_t *stride)
{
    int axis = x->rank - 1;
    int64_t left =
        axis >= 0 ? x->shape[axis] : 1; /* entries of x's current axis not yet given to the result */
    int64_t step = axis >= 0 ? x->stride[axis] : 1;
    for (int i = rank - 1; i >= 0; i--) {
        stride[i] = step;
        if (shape[i] == 1)
            continue;
        int64_t want = shape[i];
        while (left == 1 && axis > 0) {
            axis--;
            left = x->shape[axis];
            step = x->stride[axis];
        }
        stride[i] = step;
        while (want > left) { /* joins x's axes, which must be even */
            if (axis == 0 || want % left)
                return false;
            int64_t joined = step * left;
            axis--;
            if (x->shape[axis] != 1 && x->stride[axis] != joined)
                return false;
            step = joined;
            want /= left;
            left = x->shape[axis];
        }
        if (left % want)
            return false;
        step *= want;
        left /= want;
    }
    return true;
}

tensor *tensor_reshape(tensor *x, int rank, const int64_t *shape)
{
    int64_t full[TENSOR_MAX_RANK], known = 1;
    int free_axis = -1;
    if (rank < 1 || rank > TENSOR_MAX_RANK)
        graph_raise(x->graph, STATUS_USAGE, "reshape: rank %d is outside 1 to %d", rank, TENSOR_MAX_RANK);
    for (int i = 0; i < rank; i++) {
        full[i] = shape[i];
        if (shape[i] == -1) {
            require(free_axis < 0, x, "reshape", "at most one free axis");
            free_axis = i;
        } else
            known *= shape[i];
    }
    int64_t size = tensor_size(x);
    if (free_axis >= 0) {
        full[free_axis] = known ? size / known : 0;
        known *= full[free_axis];
    }
    require(known == size, x, "reshape", "a tensor of as many elements as the new shape");
    int64_t stride[TENSOR_MAX_RANK];
    if (size && reshape_strides(x, rank, full, stride))
        return node_view(x, rank, full, stride, 0);
    tensor *copy = tensor_contiguous(x);
    strided_row_major(rank, full, stride);
    return node_view(copy, rank, full, stride, 0);
}

tensor *tensor_permute(tensor *x, const int *axes)
{
    int64_t shape[TENSOR_MAX_RANK], stride[TENSOR_MAX_RANK];
    unsigned seen = 0;
    for (int i = 0; i < x->rank; i++) {
        int axis = axis_index(x, axes[i]);
        seen |= 1u << axis;
        shape[i] = x->shape[axis];
        stride[i] = x->stride[axis];
    }
    require(seen == (1u << x->rank) - 1, x, "permute", "each axis once");
    return node_view(x, x->rank, shape, stride, 0);
}

tensor *tensor_transpose(tensor *x, int a, int b)
{
    int axes[TENSOR_MAX_RANK];
    for (int i = 0; i < x->rank; i++)
        axes[i] = i;
    a = axis_index(x, a);
    b = axis_index(x, b);
    axes[a] = b;
    axes[b] = a;
    return tensor_permute(x, axes);
}

tensor *tensor_slice_step(tensor *x, int axis, int64_t start, int64_t length, int64_t step)
{
    axis = axis_index(x, axis);
    if (start < 0)
        start += x->shape[axis];
    int64_t n = x->shape[axis];
    bool fits = start >= 0 && length >= 0 && step >= 1 && start <= n;
    if (!fits || (length > 0 && (start == n || length - 1 > (n - 1 - start) / step)))
        graph_raise(x->graph, STATUS_USAGE, "slice: %lld entries from %lld by %lld are outside axis %d of %s",
                    (long long)length, (long long)start, (long long)step, axis, shape_text(x));
    int64_t shape[TENSOR_MAX_RANK], stride[TENSOR_MAX_RANK];
    memcpy(shape, x->shape, sizeof shape);
    memcpy(stride, x->stride, sizeof stride);
    shape[axis] = length;
    stride[axis] *= step;
    return node_view(x, x->rank, shape, stride, start * x->stride[axis]);
}

tensor *tensor_slice(tensor *x, int axis, int64_t start, int64_t length)
{
    return tensor_slice_step(x, axis, start, length, 1);
}

/* ---- Copies with a pattern ---- */

/* x with one more axis before `axis` (or after it), of the given length and source stride. */
static tensor *with_extra_axis(tensor *x, int axis, int64_t length, int64_t stride, bool after,
                               int64_t axis_length, int64_t axis_stride)
{
    int64_t shape[TENSOR_MAX_RANK], strides[TENSOR_MAX_RANK];
    require(x->rank < TENSOR_MAX_RANK, x, "windows", "at most 5 dimensions");
    for (int i = 0, o = 0; i < x->rank; i++) {
        if (i == axis && !after) {
            shape[o] = length;
            strides[o++] = stride;
        }
        shape[o] = i == axis ? axis_length : x->shape[i];
        strides[o++] = i == axis ? axis_stride : x->stride[i];
        if (i == axis && after) {
            shape[o] = length;
            strides[o++] = stride;
        }
    }
    return strided_copy_of(x, x->rank + 1, shape, strides, 0);
}

static tensor *merge_axes(tensor *x, int axis)
{
    int64_t shape[TENSOR_MAX_RANK];
    for (int i = 0, o = 0; i < x->rank; i++)
        if (i == axis)
            shape[o++] = x->shape[i] * x->shape[i + 1], i++;
        else
            shape[o++] = x->shape[i];
    return tensor_reshape(x, x->rank - 1, shape);
}

tensor *tensor_repeat(tensor *x, int axis, int64_t times)
{
    axis = axis_index(x, axis);
    return merge_axes(with_extra_axis(x, axis, times, 0, false, x->shape[axis], x->stride[axis]), axis);
}

tensor *tensor_repeat_interleave(tensor *x, int axis, int64_t times)
{
    axis = axis_index(x, axis);
    return merge_axes(with_extra_axis(x, axis, times, 0, true, x->shape[axis], x->stride[axis]), axis);
}

tensor *tensor_windows(tensor *x, int axis, int64_t size, int64_t step)
{
    axis = axis_index(x, axis);
    require(size > 0 && step > 0 && x->shape[axis] >= size, x, "windows",
            "an axis at least as long as a window");
    int64_t count = (x->shape[axis] - size) / step + 1;
    return with_extra_axis(x, axis, count, step * x->stride[axis], false, size, x->stride[axis]);
}

tensor *tensor_broadcast(tensor *x, int rank, const int64_t *shape)
{
    int64_t stride[TENSOR_MAX_RANK] = {0};
    require(rank >= x->rank && rank <= TENSOR_MAX_RANK, x, "broadcast", "no more dimensions than the result");
    for (int i = 0; i < x->rank; i++) {
        int o = rank - x->rank + i;
        require(x->shape[i] == shape[o] || x->shape[i] == 1, x, "broadcast",
                "lengths equal to the result's or 1");
        stride[o] = x->shape[i] == 1 ? 0 : x->stride[i];
    }
    return strided_copy_of(x, rank, shape, stride, 0);
}

tensor *tensor_flip(tensor *x, int axis)
{
    int64_t stride[TENSOR_MAX_RANK];
    axis = axis_index(x, axis);
    memcpy(stride, x->stride, sizeof stride);
    stride[axis] = -stride[axis];
    return strided_copy_of(x, x->rank, x->shape, stride, (x->shape[axis] - 1) * x->stride[axis]);
}
