/* Running sums, products, maxima and log-sum-exps along an axis. */
#include "tensor/loops/cumulative.h"
#include "tensor/operation.h"
#include "tensor/strided.h"

struct running {
    enum cumulative function;
    int axis;
};

/* One iteration of the parallel loops: some neighbouring columns of one [length, inner] matrix. */
struct piece {
    struct around around;
    int64_t per_matrix; /* pieces */
    double work;
};

static struct piece pieces_of(const tensor *y)
{
    const struct running *running = y->attributes;
    struct piece piece = {.around = around_axis(y, running->axis)};
    piece.per_matrix = (piece.around.inner + CUMULATIVE_COLUMNS - 1) / CUMULATIVE_COLUMNS;
    piece.work = (running->function == CUMULATIVE_LOG_SUM_EXP ? 16.0 : 4.0) * (double)tensor_size(y);
    return piece;
}

static int64_t piece_start(const struct piece *piece, int64_t task, int64_t *columns)
{
    int64_t column = task % piece->per_matrix * CUMULATIVE_COLUMNS;
    int64_t left = piece->around.inner - column;
    *columns = left < CUMULATIVE_COLUMNS ? left : CUMULATIVE_COLUMNS;
    return task / piece->per_matrix * piece->around.length * piece->around.inner + column;
}

static void cumulative_forward(tensor *y)
{
    const struct running *running = y->attributes;
    struct piece piece = pieces_of(y);
    const real *x = y->inputs[0]->data;
#pragma omp parallel for num_threads(threads_for(piece.work)) schedule(static)
    for (int64_t task = 0; task < piece.around.outer * piece.per_matrix; task++) {
        int64_t columns, at = piece_start(&piece, task, &columns);
        cumulative_loops()->forward[running->function](piece.around.length, piece.around.inner, columns,
                                                       x + at, y->data + at);
    }
}

static void cumulative_backward(tensor *y)
{
    const struct running *running = y->attributes;
    struct piece piece = pieces_of(y);
    const real *x = y->inputs[0]->data, *dy = output_gradient(y);
    real *dx = input_gradient(y, 0);
    bool reads = running->function != CUMULATIVE_SUM;
#pragma omp parallel for num_threads(threads_for(piece.work)) schedule(static)
    for (int64_t task = 0; task < piece.around.outer * piece.per_matrix; task++) {
        int64_t columns, at = piece_start(&piece, task, &columns);
        cumulative_loops()->backward[running->function](piece.around.length, piece.around.inner, columns,
                                                        reads ? x + at : NULL, reads ? y->data + at : NULL,
                                                        dy + at, dx + at);
    }
}

static tensor *cumulative(tensor *x, int axis, enum cumulative function)
{
    enum { READS = SAVES_INPUT(0) | SAVES_OUTPUT };
    static const struct operation operations[] = {
        [CUMULATIVE_SUM] = {"cumulative_sum", cumulative_forward, cumulative_backward, 0, false},
        [CUMULATIVE_PRODUCT] = {"cumulative_product", cumulative_forward, cumulative_backward, READS, false},
        [CUMULATIVE_MAX] = {"cumulative_max", cumulative_forward, cumulative_backward, READS, false},
        [CUMULATIVE_LOG_SUM_EXP] = {"log_cumulative_sum_exp", cumulative_forward, cumulative_backward, READS,
                                    false},
    };
    struct running running = {function, axis_index(x, axis)};
    x = tensor_contiguous(x);
    tensor *y =
        node_create(x->graph, &operations[function], x->rank, x->shape, 1, &x, &running, sizeof running);
    node_count(y, (function == CUMULATIVE_LOG_SUM_EXP ? 6.0 : 1.0) * (double)tensor_size(y), -1);
    return y;
}

tensor *tensor_cumulative_sum(tensor *x, int axis)
{
    return cumulative(x, axis, CUMULATIVE_SUM);
}

tensor *tensor_cumulative_product(tensor *x, int axis)
{
    return cumulative(x, axis, CUMULATIVE_PRODUCT);
}

tensor *tensor_cumulative_max(tensor *x, int axis)
{
    return cumulative(x, axis, CUMULATIVE_MAX);
}

tensor *tensor_log_cumulative_sum_exp(tensor *x, int axis)
{
    return cumulative(x, axis, CUMULATIVE_LOG_SUM_EXP);
}
