/* Reductions along one axis, which stays with length 1. */
#include "tensor/loops/rows.h"
#include "tensor/operation.h"
#include "tensor/strided.h"
#include <float.h>
#include <string.h>

enum {
    COLUMNS = 1024, /* inner entries of one iteration of a parallel loop */
    BLOCK = 128     /* rows of a partial sum */
};

struct reduction {
    int axis;
    bool largest; /* maximum (with the first place it stands at as a further output); else the sum */
    double scale; /* of the sum */
};

static double reduction_work(const struct around *around)
{
    return (double)around->outer * (double)around->length * (double)around->inner;
}

/* Rows are added to a partial sum of at most BLOCK of them first, so that long axes keep their digits. */
static void sum_columns(const struct around *around, const real *x, int64_t columns, real scale, real *y)
{
    memset(y, 0, (size_t)columns * sizeof *y);
    for (int64_t start = 0; start < around->length; start += BLOCK) {
        int64_t end = around->length - start < BLOCK ? around->length : start + BLOCK;
        real partial[COLUMNS] = {0};
        for (int64_t i = start; i < end; i++)
            row_loops()->add(columns, x + i * around->inner, partial);
        row_loops()->add(columns, partial, y);
    }
    for (int64_t j = 0; j < columns; j++)
        y[j] *= scale;
}

/* One iteration of the parallel loops: neighbouring columns of one [length, inner] matrix. */
static int64_t pieces_of(const struct around *around)
{
    return (around->inner + COLUMNS - 1) / COLUMNS;
}

static int64_t piece_columns(const struct around *around, int64_t column)
{
    return around->inner - column < COLUMNS ? around->inner - column : COLUMNS;
}

static void sum_forward(tensor *y)
{
    const struct reduction *reduction = y->attributes;
    struct around around = around_axis(y->inputs[0], reduction->axis);
    const real *x = y->inputs[0]->data;
    real scale = (real)reduction->scale;
    int64_t pieces = pieces_of(&around);
#pragma omp parallel for num_threads(threads_for(reduction_work(&around))) schedule(static)
    for (int64_t task = 0; task < around.outer * pieces; task++) {
        int64_t outer = task / pieces, column = task % pieces * COLUMNS;
        const real *from = x + outer * around.length * around.inner + column;
        real *to = y->data + outer * around.inner + column;
        if (around.inner == 1)
            *to = scale * row_loops()->sum(around.length, from);
        else
            sum_columns(&around, from, piece_columns(&around, column), scale, to);
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
    int64_t pieces = pieces_of(&around);
#pragma omp parallel for num_threads(threads_for(reduction_work(&around))) schedule(static)
    for (int64_t task = 0; task < around.outer * pieces; task++) {
        int64_t outer = task / pieces, column = task % pieces * COLUMNS,
                columns = piece_columns(&around, column);
        const real *from = y->inputs[0]->data + outer * around.length * around.inner + column;
        int64_t at = outer * around.inner + column;
        if (around.inner == 1) {
            int64_t best = row_loops()->place_of_max(around.length, from);
            y->data[at] = from[best];
            place[at] = (real)best;
            continue;
        }
        memcpy(y->data + at, from, (size_t)columns * sizeof(real));
        memset(place + at, 0, (size_t)columns * sizeof(real));
        for (int64_t i = 1; i < around.length; i++)
            row_loops()->max_with(columns, from + i * around.inner, (real)i, y->data + at, place + at);
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
#pragma omp parallel for num_threads(threads_for(4.0 * (double)tensor_size(y))) schedule(static)
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

/* ---- Log of the sum of exponentials ---- */

/* Kept finite, so that infinities of either sign come out of the formula. */
static real bounded(real x)
{
    real largest = sizeof(real) == sizeof(float) ? (real)FLT_MAX : (real)DBL_MAX;
    return x > largest ? largest : x < -largest ? -largest : x;
}

static void log_sum_exp_columns(const struct around *around, const real *x, int64_t columns, real *y)
{
    real largest[COLUMNS], place[COLUMNS] = {0};
    memcpy(largest, x, (size_t)columns * sizeof(real));
    for (int64_t i = 1; i < around->length; i++)
        row_loops()->max_with(columns, x + i * around->inner, 0, largest, place);
    for (int64_t j = 0; j < columns; j++)
        largest[j] = bounded(largest[j]);
    memset(y, 0, (size_t)columns * sizeof(real));
    for (int64_t i = 0; i < around->length; i++)
        row_loops()->exp_add(columns, x + i * around->inner, largest, y);
    row_loops()->log_add(columns, y, largest);
}

static void log_sum_exp_forward(tensor *y)
{
    const struct reduction *reduction = y->attributes;
    struct around around = around_axis(y->inputs[0], reduction->axis);
    int64_t pieces = pieces_of(&around);
#pragma omp parallel for num_threads(threads_for(8 * reduction_work(&around))) schedule(static)
    for (int64_t task = 0; task < around.outer * pieces; task++) {
        int64_t outer = task / pieces, column = task % pieces * COLUMNS;
        const real *from = y->inputs[0]->data + outer * around.length * around.inner + column;
        real *to = y->data + outer * around.inner + column;
        if (around.inner == 1) {
            real largest = bounded(row_loops()->max(around.length, from));
            *to = row_loops()->exp_sum(around.length, from, largest);
            row_loops()->log_add(1, to, &largest);
        } else {
            log_sum_exp_columns(&around, from, piece_columns(&around, column), to);
        }
    }
}

static void log_sum_exp_backward(tensor *y)
{
    const struct reduction *reduction = y->attributes;
    struct around around = around_axis(y->inputs[0], reduction->axis);
    const real *x = y->inputs[0]->data, *dy = output_gradient(y);
    real *dx = input_gradient(y, 0);
    int64_t inner = around.inner, rows = inner == 1 ? around.outer : around.outer * around.length;
    int64_t n = inner == 1 ? around.length : inner;
#pragma omp parallel for num_threads(threads_for(8 * reduction_work(&around))) schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        int64_t from = inner == 1 ? row : row / around.length * inner;
        row_loops()->exp_backward(n, x + row * n, y->data + from, inner == 1 ? 0 : 1, dy + from,
                                  dx + row * n);
    }
}

static const struct operation log_sum_exp_operation = {
    "log_sum_exp", log_sum_exp_forward, log_sum_exp_backward, SAVES_INPUT(0) | SAVES_OUTPUT, false};

tensor *tensor_log_sum_exp(tensor *x, int axis)
{
    axis = axis_index(x, axis);
    require(x->shape[axis] > 0, x, "log_sum_exp", "an axis that is not empty");
    tensor *y = reduce(x, &log_sum_exp_operation, (struct reduction){.axis = axis});
    node_count(y, 3.0 * (double)tensor_size(x), 0); /* beside the additions */
    return y;
}

tensor *tensor_sum_all(tensor *x)
{
    return tensor_reshape(tensor_sum(tensor_reshape(x, 1, SHAPE(-1)), 0), 1, SHAPE(1));
}
