/* Reading and adding by index. */
#include "tensor/broadcast.h"
#include "tensor/operation.h"
#include "tensor/strided.h"
#include <math.h>
#include <string.h>

enum { COLUMNS = 64 }; /* inner entries that one iteration of a parallel loop adds */

/* A table [outer, length, inner] and chosen entries [outer, count, inner] of it, by indices that have the
 * entries' shape or are shared along the outer axes, the inner ones or both. */
struct indexing {
    int axis;
    bool outer_shared, inner_shared;
};

struct choice {
    int64_t outer, length, count, inner;
    const real *indices;
    int64_t outer_stride, row_stride, inner_stride; /* of indices */
};

static struct choice choice_of(const tensor *table, const tensor *chosen, const tensor *indices,
                               const struct indexing *indexing)
{
    struct around around = around_axis(table, indexing->axis);
    struct choice choice = {.outer = around.outer,
                            .length = around.length,
                            .count = chosen->shape[indexing->axis],
                            .inner = around.inner,
                            .indices = indices->data};
    choice.inner_stride = indexing->inner_shared ? 0 : 1;
    choice.row_stride = indexing->inner_shared ? 1 : around.inner;
    choice.outer_stride = indexing->outer_shared ? 0 : choice.count * choice.row_stride;
    return choice;
}

/* False, after telling the graph, if an index is none. */
static bool indices_valid(tensor *y, const tensor *indices, int64_t length)
{
    int64_t n = tensor_size(indices), first = n;
#pragma omp parallel for num_threads(threads_for((double)n)) schedule(static) reduction(min : first)
    for (int64_t i = 0; i < n; i++) {
        real index = indices->data[i];
        bool valid = index >= 0 && index < (real)length && index == (real)(int64_t)index;
        first = !valid && i < first ? i : first;
    }
    if (first == n)
        return true;
    graph_fail(y->graph, STATUS_USAGE,
               "%s: index %g (number %lld of %s) is not a whole number from 0 to %lld", y->operation->name,
               (double)indices->data[first], (long long)first, shape_text(indices), (long long)length - 1);
    return false;
}

/* chosen = table[index], or += with `add`. */
static void gather(const struct choice *c, const real *table, real *chosen, bool add)
{
    int64_t rows = c->outer * c->count;
#pragma omp parallel for num_threads(threads_for((double)rows *(double)c->inner)) schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        int64_t outer = row / c->count;
        const real *from = table + outer * c->length * c->inner;
        const real *index = c->indices + outer * c->outer_stride + row % c->count * c->row_stride;
        real *to = chosen + row * c->inner;
        if (c->inner_stride == 0 && c->inner > 1 && !add) {
            memcpy(to, from + (int64_t)*index * c->inner, (size_t)c->inner * sizeof(real));
            continue;
        }
        for (int64_t j = 0; j < c->inner; j++) {
            real value = from[(int64_t)index[j * c->inner_stride] * c->inner + j];
            to[j] = add ? to[j] + value : value;
        }
    }
}

/* table[index] += chosen, in the order of chosen; columns in parallel. */
static void scatter(const struct choice *c, const real *chosen, real *table)
{
    int64_t pieces = (c->inner + COLUMNS - 1) / COLUMNS;
    double work = 2.0 * (double)(c->outer * c->count) * (double)c->inner;
#pragma omp parallel for num_threads(threads_for(work)) schedule(static)
    for (int64_t task = 0; task < c->outer * pieces; task++) {
        int64_t outer = task / pieces, start = task % pieces * COLUMNS;
        int64_t end = c->inner - start < COLUMNS ? c->inner : start + COLUMNS;
        const real *from = chosen + outer * c->count * c->inner;
        real *to = table + outer * c->length * c->inner;
        for (int64_t i = 0; i < c->count; i++, from += c->inner) {
            const real *index = c->indices + outer * c->outer_stride + i * c->row_stride;
            if (c->inner_stride == 0) {
                real *row = to + (int64_t)*index * c->inner;
                for (int64_t j = start; j < end; j++)
                    row[j] += from[j];
            } else {
                for (int64_t j = start; j < end; j++)
                    to[(int64_t)index[j] * c->inner + j] += from[j];
            }
        }
    }
}

static void gather_forward(tensor *y)
{
    const tensor *x = y->inputs[0], *indices = y->inputs[1];
    struct choice choice = choice_of(x, y, indices, y->attributes);
    if (indices_valid(y, indices, choice.length))
        gather(&choice, x->data, y->data, false);
}

static void gather_backward(tensor *y)
{
    const tensor *x = y->inputs[0], *indices = y->inputs[1];
    struct choice choice = choice_of(x, y, indices, y->attributes);
    scatter(&choice, output_gradient(y), input_gradient(y, 0));
}

static void scatter_forward(tensor *y)
{
    const tensor *source = y->inputs[0], *indices = y->inputs[1];
    struct choice choice = choice_of(y, source, indices, y->attributes);
    memset(y->data, 0, (size_t)tensor_size(y) * sizeof(real));
    if (indices_valid(y, indices, choice.length))
        scatter(&choice, source->data, y->data);
}

static void scatter_backward(tensor *y)
{
    const tensor *source = y->inputs[0], *indices = y->inputs[1];
    struct choice choice = choice_of(y, source, indices, y->attributes);
    gather(&choice, output_gradient(y), input_gradient(y, 0), true);
}

static const struct operation gather_operation = {"gather", gather_forward, gather_backward, SAVES_INPUT(1),
                                                  false};
static const struct operation rows_operation = {"rows", gather_forward, gather_backward, SAVES_INPUT(1),
                                                false};
static const struct operation scatter_operation = {"scatter_add", scatter_forward, scatter_backward,
                                                   SAVES_INPUT(1), false};

/* Records the operation on x, whose axis takes `length` in the result. Indices that are shared along some of
 * the outer or inner axes only are copied out. */
static tensor *by_index(const struct operation *operation, tensor *x, int axis, tensor *indices,
                        int64_t length)
{
    require(indices->rank == x->rank, indices, operation->name,
            "indices of as many dimensions as the tensor");
    int64_t shape[TENSOR_MAX_RANK], full[TENSOR_MAX_RANK];
    bool shared[2] = {true, true}, own[2] = {true, true}; /* along all outer axes, all inner ones */
    memcpy(full, indices->shape, sizeof full);
    for (int i = 0; i < x->rank; i++) {
        if (i == axis)
            continue;
        int side = i > axis;
        require(indices->shape[i] == x->shape[i] || indices->shape[i] == 1, indices, operation->name,
                "indices with lengths equal to the tensor's or 1 beside the axis");
        shared[side] &= indices->shape[i] == 1;
        own[side] &= indices->shape[i] == x->shape[i];
    }
    bool copy = false;
    for (int i = 0; i < x->rank; i++)
        if (i != axis && !shared[i > axis] && !own[i > axis]) {
            full[i] = x->shape[i];
            copy = true;
        }
    struct indexing indexing = {axis, shared[0], shared[1]};
    tensor *inputs[] = {tensor_contiguous(x),
                        copy ? tensor_broadcast(indices, x->rank, full) : tensor_contiguous(indices)};
    memcpy(shape, x->shape, sizeof shape);
    shape[axis] = length;
    tensor *y = node_create(x->graph, operation, x->rank, shape, 2, inputs, &indexing, sizeof indexing);
    node_count(y, operation == &scatter_operation ? (double)tensor_size(x) : 0, (double)tensor_size(x));
    return y;
}

tensor *tensor_gather(tensor *x, int axis, tensor *indices)
{
    axis = axis_index(x, axis);
    require(indices->rank == x->rank, indices, "gather", "indices of as many dimensions as the tensor");
    return by_index(&gather_operation, x, axis, indices, indices->shape[axis]);
}

tensor *tensor_rows(tensor *x, tensor *indices)
{
    int64_t shape[TENSOR_MAX_RANK], inner = 1;
    int rank = indices->rank + x->rank - 1;
    require(rank <= TENSOR_MAX_RANK, indices, "rows", "a result of at most 6 dimensions");
    memcpy(shape, indices->shape, sizeof(int64_t) * (size_t)indices->rank);
    for (int i = 1; i < x->rank; i++)
        inner *= shape[indices->rank + i - 1] = x->shape[i];
    tensor *table = tensor_reshape(x, 2, SHAPE(x->shape[0], inner));
    tensor *column = tensor_reshape(indices, 2, SHAPE(tensor_size(indices), 1));
    return tensor_reshape(by_index(&rows_operation, table, 0, column, column->shape[0]), rank, shape);
}

tensor *tensor_scatter_add(tensor *source, int axis, tensor *indices, int64_t length)
{
    axis = axis_index(source, axis);
    bool fits = indices->rank == source->rank && indices->shape[axis] == source->shape[axis];
    require(fits, indices, "scatter_add", "one index for each entry of the source along the axis");
    return by_index(&scatter_operation, source, axis, indices, length);
}

/* ---- One-hot ---- */

static void one_hot_forward(tensor *y)
{
    const tensor *indices = y->inputs[0];
    int64_t classes = y->shape[y->rank - 1], n = tensor_size(indices);
    memset(y->data, 0, (size_t)tensor_size(y) * sizeof(real));
    if (indices_valid(y, indices, classes))
        for (int64_t i = 0; i < n; i++)
            y->data[i * classes + (int64_t)indices->data[i]] = 1;
}

tensor *tensor_one_hot(tensor *indices, int64_t classes)
{
    static const struct operation operation = {"one_hot", one_hot_forward, NULL, 0, false};
    int64_t shape[TENSOR_MAX_RANK];
    require(indices->rank < TENSOR_MAX_RANK, indices, "one_hot", "at most 5 dimensions");
    memcpy(shape, indices->shape, sizeof(int64_t) * (size_t)indices->rank);
    shape[indices->rank] = classes;
    indices = tensor_contiguous(indices);
    return node_create(indices->graph, &operation, indices->rank + 1, shape, 1, &indices, NULL, 0);
}
