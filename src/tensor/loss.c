/* Cross entropy, without a buffer for the probabilities. */
#include "tensor/loops/loss.h"
#include "tensor/operation.h"
#include <math.h>

static int64_t row_count(const tensor *logits)
{
    int64_t rows = 1;
    for (int i = 0; i < logits->rank - 1; i++)
        rows *= logits->shape[i];
    return rows;
}

/* Where a row of logits starts. */
static int64_t row_start(const tensor *logits, int64_t row)
{
    int64_t start = 0;
    for (int i = logits->rank - 2; i >= 0; i--) {
        start += row % logits->shape[i] * logits->stride[i];
        row /= logits->shape[i];
    }
    return start;
}

static double counted_rows(const tensor *targets)
{
    double count = 0;
    for (int64_t row = 0, rows = tensor_size(targets); row < rows; row++)
        count += targets->data[row] >= 0;
    return count;
}

static bool targets_are_classes(const tensor *targets, int64_t classes)
{
    for (int64_t row = 0, rows = tensor_size(targets); row < rows; row++)
        if (targets->data[row] >= (real)classes) {
            graph_fail(targets->graph, STATUS_USAGE,
                       "cross_entropy: target %g of row %lld is not one of %lld classes",
                       (double)targets->data[row], (long long)row, (long long)classes);
            return false;
        }
    return true;
}

static void cross_entropy_forward(tensor *y)
{
    const tensor *logits = y->inputs[0], *targets = y->inputs[1];
    int64_t rows = row_count(logits), classes = logits->shape[logits->rank - 1];
    if (!targets_are_classes(targets, classes))
        return;
    real *log_sums = node_output(y, 1)->data;
    real *losses = scratch_take(y->graph, (size_t)rows);
#pragma omp parallel for num_threads(threads_for(8 * (double)(rows * classes))) schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        const real *x = logits->data + row_start(logits, row);
        bool counted = targets->data[row] >= 0; /* false for NaN too */
        log_sums[row] = counted ? loss_loops()->log_sum_exp(classes, x) : 0;
        losses[row] = counted ? log_sums[row] - x[(int64_t)targets->data[row]] : 0;
    }
    double total = 0, count = counted_rows(targets);
    for (int64_t row = 0; row < rows; row++)
        total += (double)losses[row];
    y->data[0] = (real)(count > 0 ? total / count : 0);
    scratch_give(y->graph, losses);
}

static void cross_entropy_backward(tensor *y)
{
    const tensor *logits = y->inputs[0], *targets = y->inputs[1];
    int64_t rows = row_count(logits), classes = logits->shape[logits->rank - 1];
    const real *dy = output_gradient(y), *log_sums = node_output(y, 1)->data;
    real *dlogits = input_gradient(y, 0);
    if (!dlogits || !dy)
        return;
    real factor = (real)((double)dy[0] / counted_rows(targets));
#pragma omp parallel for num_threads(threads_for(8 * (double)(rows * classes))) schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        if (!(targets->data[row] >= 0))
            continue;
        int64_t start = row_start(logits, row);
        loss_loops()->add_softmax(classes, logits->data + start, log_sums[row], factor, dlogits + start);
        dlogits[start + (int64_t)targets->data[row]] -= factor;
    }
}

static const struct operation cross_entropy_operation = {
    "cross_entropy", cross_entropy_forward, cross_entropy_backward,
    SAVES_INPUT(0) | SAVES_INPUT(1) | SAVES_OUTPUT, false};

tensor *tensor_cross_entropy(tensor *logits, tensor *targets)
{
    bool fits = targets->rank == logits->rank - 1;
    for (int i = 0; fits && i < targets->rank; i++)
        fits = targets->shape[i] == logits->shape[i];
    if (!fits)
        graph_raise(logits->graph, STATUS_USAGE, "cross_entropy: targets %s do not fit logits %s",
                    shape_text(targets), shape_text(logits));
    tensor *inputs[] = {with_contiguous_rows(logits), tensor_contiguous(tensor_stop_gradient(targets))};
    tensor *y = node_create(logits->graph, &cross_entropy_operation, 1, SHAPE(1), 2, inputs, NULL, 0);
    node_add_output(y, 1, SHAPE(row_count(logits)));
    node_count(y, 3 * (double)tensor_size(logits), -1);
    return y;
}
