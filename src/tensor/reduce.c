/* Reductions along one axis, which stays with length 1. */
#include "tensor/loops/rows.h"
#include "tensor/operation.h"
#include "tensor/strided.h"
#include <math.h>
#include <string.h>

enum { COLUMNS = 1024 }; /* inner entries of one iteration of a parallel loop */

struct reduction {
    int axis;
    bool largest; /* maximum (with the first place it stands at as a further output); else the sum */
    double scale; /* of the sum */
};

static double reduction_work(const struct around *around)
{
    return (double)around->outer * (double)around->length * (double)around->inner;
}

static void sum_columns(const struct around *around, const real *x, int64_t column, int64_t columns,
                        real scale, real *y)
{
    memset(y, 0, (size_t)columns * sizeof *y);
    for (int64_t i = 0; i < around->length; i++)
        row_loops()->add(columns, x + i * around->inner + column, y);
    for (int64_t j = 0; j < columns; j++)
        y[j] *= scale;
}

static void sum_forward(tensor *y)
{
    const struct reduction *reduction = y->attributes;
    struct around around = around_axis(y->inputs[0], reduction->axis);
    const real *x = y->inputs[0]->data;
    real scale = (real)reduction->scale;
    int64_t pieces = (around.inner + COLUMNS - 1) / COLUMNS;
#pragma omp parallel for num_threads(threads_for(reduction_work(&around))) schedule(static)
    for (int64_t task = 0; task < around.outer * pieces; task++) {
        int64_t outer = task / pieces, column = task % pieces * COLUMNS;
        const real *from = x + outer * around.length * around.inner;
        real *to = y->data + outer * around.inner + column;
        if (around.inner == 1)
            *to = scale * row_loops()->sum(around.length, from);
        else
            sum_columns(&around, from, column,
                        around.inner - column < COLUMNS ? around.inner - column : COLUMNS, scale, to);
    }
}

static void sum_backward(tensor *y)
{
    const struct reduction *reduction = y->attributes;
    struct around around = around_axis(y->inputs[0], reduction->axis);
    real *dx = input_gradient(y, 0);
    const real *dy = output_gradient(y);
    if (!dx)
        return;
#pragma omp parallel for num_threads(threads_for(reduction_work(&around))) schedule(static)
    for (int64_t row = 0; row < around.outer * around.length; row++) {
        const real *from = dy + row / around.length * around.inner;
        for (int64_t j = 0; j < around.inner; j++)
            dx[row * around.inner + j] += (real)reduction->scale * from[j];
    }
}

static const struct operation sum_operation = {"sum", sum_forward, sum_backward, 0, false};

static void max_forward(tensor *y)
{
    const struct reduction *reduction = y->attributes;
    struct around around = around_axis(y->inputs[0], reduction->axis);
    real *place = node_output(y, 1)->data;
#pragma omp parallel for num_threads(threads_for(reduction_work(&around))) schedule(static)
    for (int64_t outer = 0; outer < around.outer; outer++) {
        const real *x = y->inputs[0]->data + outer * around.length * around.inner;
        for (int64_t j = 0; j < around.inner; j++) {
            int64_t best = 0;
            for (int64_t i = 1; i < around.length; i++)
                if (x[i * around.inner + j] > x[best * around.inner + j])
                    best = i;
            y->data[outer * around.inner + j] = x[best * around.inner + j];
            place[outer * around.inner + j] = (real)best;
        }
    }
}

static void max_backward(tensor *y)
{
    const struct reduction *reduction = y->attributes;
    struct around around = around_axis(y->inputs[0], reduction->axis);
    real *dx = input_gradient(y, 0);
    const real *dy = output_gradient(y), *place = node_output(y, 1)->data;
    if (!dx || !dy)
        return;
    for (int64_t outer = 0; outer < around.outer; outer++)
        for (int64_t j = 0; j < around.inner; j++) {
            int64_t at = outer * around.inner + j;
            dx[(outer * around.length + (int64_t)place[at]) * around.inner + j] += dy[at];
        }
}

static const struct operation max_operation = {"max", max_forward, max_backward, SAVES_OUTPUT, false};

static tensor *reduce(tensor *x, const struct operation *operation, struct reduction reduction)
{
    x = tensor_contiguous(x);
    int64_t shape[TENSOR_MAX_RANK];
    memcpy(shape, x->shape, sizeof shape);
    shape[reduction.axis] = 1;
    bool fits = x->shape[reduction.axis] > 0 && x->shape[reduction.axis] <= REAL_MAX_INDEX;
    require(!reduction.largest || fits, x, "max", "an axis that is not empty nor too long for exact indices");
    tensor *y = node_create(x->graph, operation, x->rank, shape, 1, &x, &reduction, sizeof reduction);
    if (reduction.largest)
        node_add_output(y, x->rank, shape);
    node_count(y, (double)tensor_size(x), -1);
    return y;
}

tensor *tensor_sum(tensor *x, int axis)
{
    return reduce(x, &sum_operation, (struct reduction){axis_index(x, axis), false, 1});
}

tensor *tensor_mean(tensor *x, int axis)
{
    axis = axis_index(x, axis);
    return reduce(x, &sum_operation, (struct reduction){axis, false, 1.0 / (double)x->shape[axis]});
}

tensor *tensor_max(tensor *x, int axis)
{
    return reduce(x, &max_operation, (struct reduction){axis_index(x, axis), true, 1});
}

tensor *tensor_min(tensor *x, int axis)
{
    return tensor_negate(tensor_max(tensor_negate(x), axis));
}

tensor *tensor_argmax(tensor *x, int axis)
{
    return tensor_stop_gradient(node_output(tensor_max(tensor_stop_gradient(x), axis), 1));
}

tensor *tensor_variance(tensor *x, int axis)
{
    return tensor_mean(tensor_square(tensor_subtract(x, tensor_mean(x, axis))), axis);
}

tensor *tensor_log_sum_exp(tensor *x, int axis)
{
    /* The maximum is a constant of the gradient; clamped, so that a row of -inf gives -inf and not NaN. */
    tensor *largest =
        tensor_clamp(tensor_stop_gradient(tensor_max(tensor_stop_gradient(x), axis)), -1e30, 1e30);
    tensor *sum = tensor_sum(tensor_exp(tensor_subtract(x, largest)), axis);
    return tensor_add(tensor_log(sum), largest);
}

tensor *tensor_sum_all(tensor *x)
{
    return tensor_reshape(tensor_sum(tensor_reshape(x, 1, SHAPE(-1)), 0), 1, SHAPE(1));
}
