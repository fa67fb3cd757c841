/* Norms and softmax over the last axis. */
#include "tensor/loops/rows.h"
#include "tensor/operation.h"
#include <string.h>

enum {
    BLOCK = 64
}; /* rows of one iteration of a parallel loop, and of one partial sum of weight gradients */

struct rows {
    int64_t count, length, blocks;
};

static struct rows rows_of(const tensor *y)
{
    struct rows rows = {.length = y->shape[y->rank - 1]};
    rows.count = rows.length ? tensor_size(y) / rows.length : 0;
    rows.blocks = (rows.count + BLOCK - 1) / BLOCK;
    return rows;
}

static double row_work(const struct rows *rows)
{
    return 8.0 * (double)rows->count * (double)rows->length;
}

static int64_t block_end(const struct rows *rows, int64_t block)
{
    return (block + 1) * BLOCK < rows->count ? (block + 1) * BLOCK : rows->count;
}

/* ---- Norms with weights ---- */

struct norm {
    bool centred; /* layer norm; else the power norms */
    bool floor_only, has_weight, has_bias;
    double factor, epsilon;
};

static void norm_forward(tensor *y)
{
    const struct norm *norm = y->attributes;
    const real *x = y->inputs[0]->data, *weight = norm->has_weight ? y->inputs[1]->data : NULL;
    const real *bias = norm->has_bias ? y->inputs[y->input_count - 1]->data : NULL;
    struct rows rows = rows_of(y);
    const struct row_loops *loops = row_loops();
#pragma omp parallel for num_threads(threads_for(row_work(&rows))) schedule(static)
    for (int64_t block = 0; block < rows.blocks; block++) {
        for (int64_t row = block * BLOCK, end = block_end(&rows, block); row < end; row++) {
            int64_t at = row * rows.length;
            if (norm->centred)
                loops->layer_norm(rows.length, x + at, weight, bias, (real)norm->epsilon, y->data + at);
            else
                loops->power_norm(rows.length, x + at, weight, (real)norm->factor, (real)norm->epsilon,
                                  norm->floor_only, y->data + at);
        }
    }
}

static void norm_backward(tensor *y)
{
    const struct norm *norm = y->attributes;
    const real *x = y->inputs[0]->data, *weight = norm->has_weight ? y->inputs[1]->data : NULL;
    const real *dy = output_gradient(y);
    real *dx = input_gradient(y, 0), *dweight = norm->has_weight ? input_gradient(y, 1) : NULL;
    real *dbias = norm->has_bias ? input_gradient(y, y->input_count - 1) : NULL;
    struct rows rows = rows_of(y);
    const struct row_loops *loops = row_loops();
    size_t partial_size = (size_t)(rows.blocks * rows.length);
    real *weight_parts = scratch_take(y->graph, 2 * partial_size), *bias_parts = weight_parts + partial_size;
    if (partial_size)
        memset(weight_parts, 0, 2 * partial_size * sizeof(real));
#pragma omp parallel for num_threads(threads_for(2 * row_work(&rows))) schedule(static)
    for (int64_t block = 0; block < rows.blocks; block++) {
        real *weight_part = dweight ? weight_parts + block * rows.length : NULL;
        real *bias_part = dbias ? bias_parts + block * rows.length : NULL;
        for (int64_t row = block * BLOCK, end = block_end(&rows, block); row < end; row++) {
            int64_t at = row * rows.length;
            real *dx_row = dx ? dx + at : NULL;
            if (norm->centred)
                loops->layer_norm_backward(rows.length, x + at, weight, (real)norm->epsilon, dy + at, dx_row,
                                           weight_part, bias_part);
            else
                loops->power_norm_backward(rows.length, x + at, weight, (real)norm->factor,
                                           (real)norm->epsilon, norm->floor_only, dy + at, dx_row,
                                           weight_part);
        }
    }
    for (int64_t block = 0; block < rows.blocks; block++) {
        if (dweight)
            loops->add(rows.length, weight_parts + block * rows.length, dweight);
        if (dbias)
            loops->add(rows.length, bias_parts + block * rows.length, dbias);
    }
    scratch_give(y->graph, weight_parts);
}

static const struct operation norm_operation = {"norm", norm_forward, norm_backward,
                                                SAVES_INPUT(0) | SAVES_INPUT(1), false};

static tensor *norm(tensor *x, tensor *weight, tensor *bias, struct norm norm)
{
    x = tensor_contiguous(x);
    int64_t length = x->shape[x->rank - 1];
    tensor *inputs[3] = {x};
    int count = 1;
    if (weight) {
        require(tensor_size(weight) == length, weight, "norm weight", "one entry per channel");
        inputs[count++] = tensor_contiguous(weight);
    }
    if (bias) {
        require(tensor_size(bias) == length, bias, "norm bias", "one entry per channel");
        inputs[count++] = tensor_contiguous(bias);
    }
    norm.has_weight = weight != NULL;
    norm.has_bias = bias != NULL;
    tensor *y = node_create(x->graph, &norm_operation, x->rank, x->shape, count, inputs, &norm, sizeof norm);
    node_count(y, 6.0 * (double)tensor_size(y), -1);
    return y;
}

tensor *tensor_layer_norm(tensor *x, tensor *weight, tensor *bias, double epsilon)
{
    return norm(x, weight, bias, (struct norm){.centred = true, .epsilon = epsilon});
}

tensor *tensor_rms_norm(tensor *x, tensor *weight, double epsilon)
{
    return norm(x, weight, NULL,
                (struct norm){.factor = 1.0 / (double)x->shape[x->rank - 1], .epsilon = epsilon});
}

tensor *tensor_l2_norm(tensor *x, double epsilon)
{
    return norm(x, NULL, NULL, (struct norm){.factor = 1, .epsilon = epsilon});
}

tensor *tensor_l2_norm_max(tensor *x, double epsilon)
{
    return norm(x, NULL, NULL, (struct norm){.factor = 1, .epsilon = epsilon, .floor_only = true});
}

/* ---- Softmax ---- */

static void softmax_forward(tensor *y)
{
    struct rows rows = rows_of(y);
    const real *x = y->inputs[0]->data;
#pragma omp parallel for num_threads(threads_for(row_work(&rows))) schedule(static)
    for (int64_t row = 0; row < rows.count; row++)
        row_loops()->softmax(rows.length, x + row * rows.length, y->data + row * rows.length);
}

static void softmax_backward(tensor *y)
{
    struct rows rows = rows_of(y);
    const real *dy = output_gradient(y);
    real *dx = input_gradient(y, 0);
    if (!dx)
        return;
#pragma omp parallel for num_threads(threads_for(row_work(&rows))) schedule(static)
    for (int64_t row = 0; row < rows.count; row++) {
        int64_t at = row * rows.length;
        row_loops()->softmax_backward(rows.length, y->data + at, dy + at, dx + at);
    }
}

static const struct operation softmax_operation = {"softmax", softmax_forward, softmax_backward, SAVES_OUTPUT,
                                                   true};

tensor *tensor_softmax(tensor *x, int axis)
{
    axis = axis_index(x, axis);
    if (axis != x->rank - 1)
        return tensor_transpose(tensor_softmax(tensor_transpose(x, axis, -1), -1), axis, -1);
    x = tensor_contiguous(x);
    tensor *y = node_create(x->graph, &softmax_operation, x->rank, x->shape, 1, &x, NULL, 0);
    node_count(y, 5.0 * (double)tensor_size(y), 4.0 * (double)tensor_size(y));
    return y;
}

tensor *tensor_log_softmax(tensor *x, int axis)
{
    return tensor_subtract(x, tensor_log_sum_exp(x, axis));
}
