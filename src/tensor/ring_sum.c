/* Weighted sums of rows at fixed distances around a ring: a sparse matrix whose entries stand on a few
 * diagonals. */
#include "tensor/loops/rows.h"
#include "tensor/operation.h"
#include <string.h>

enum {
    ROWS = 16,      /* of one iteration of the parallel loops */
    MOST_LINKS = 64 /* of a row */
};

struct ring {
    int links;
    int64_t distance[MOST_LINKS]; /* 0 to T - 1 */
};

static double work_of(const tensor *y)
{
    const struct ring *ring = y->attributes;
    return 2.0 * ring->links * (double)tensor_size(y);
}

/* The row at `distance` from row n of [B, T, ..], which may be negative, in the same entry of the batch. */
static int64_t linked_row(int64_t n, int64_t distance, int64_t length)
{
    int64_t t = n % length + distance;
    return n - n % length + (t < 0 ? t + length : t < length ? t : t - length);
}

static void ring_sum_forward(tensor *y)
{
    const struct ring *ring = y->attributes;
    const real *x = y->inputs[0]->data, *w = y->inputs[1]->data;
    int64_t length = y->shape[1], width = y->shape[2];
#pragma omp parallel for num_threads(threads_for(work_of(y))) schedule(static, ROWS)
    for (int64_t n = 0; n < y->shape[0] * length; n++) {
        const real *rows[MOST_LINKS];
        for (int k = 0; k < ring->links; k++)
            rows[k] = x + linked_row(n, ring->distance[k], length) * width;
        memset(y->data + n * width, 0, (size_t)width * sizeof(real));
        row_loops()->add_weighted(width, ring->links, w + n * ring->links, rows, y->data + n * width);
    }
}

/* Row n of x was read by the rows that lie its links' distances before it. */
static void gather_gradient(const struct ring *ring, int64_t n, int64_t length, int64_t width, const real *w,
                            const real *dy, real *dx)
{
    const real *rows[MOST_LINKS];
    real weights[MOST_LINKS];
    for (int k = 0; k < ring->links; k++) {
        int64_t reader = linked_row(n, -ring->distance[k], length);
        rows[k] = dy + reader * width;
        weights[k] = w[reader * ring->links + k];
    }
    row_loops()->add_weighted(width, ring->links, weights, rows, dx + n * width);
}

static void ring_sum_backward(tensor *y)
{
    const struct ring *ring = y->attributes;
    const real *x = y->inputs[0]->data, *w = y->inputs[1]->data, *dy = output_gradient(y);
    real *dx = input_gradient(y, 0), *dw = input_gradient(y, 1);
    int64_t length = y->shape[1], width = y->shape[2];
#pragma omp parallel for num_threads(threads_for(2 * work_of(y))) schedule(static, ROWS)
    for (int64_t n = 0; n < y->shape[0] * length; n++) {
        if (dx)
            gather_gradient(ring, n, length, width, w, dy, dx);
        for (int k = 0; dw && k < ring->links; k++)
            dw[n * ring->links + k] +=
                row_loops()->dot(width, x + linked_row(n, ring->distance[k], length) * width, dy + n * width);
    }
}

static const struct operation ring_sum_operation = {"ring_sum", ring_sum_forward, ring_sum_backward,
                                                    SAVES_INPUT(0) | SAVES_INPUT(1), false};

tensor *tensor_ring_sum(tensor *x, tensor *weights, const int64_t *distances)
{
    require(x->rank == 3, x, ring_sum_operation.name, "x [B, T, C]");
    bool fits = weights->rank == 3 && weights->shape[0] == x->shape[0] && weights->shape[1] == x->shape[1] &&
                weights->shape[2] <= MOST_LINKS;
    if (!fits)
        graph_raise(
            x->graph, STATUS_USAGE, "ring_sum: weights %s do not fit %s, expected [%lld, %lld, at most %d]",
            shape_text(weights), shape_text(x), (long long)x->shape[0], (long long)x->shape[1], MOST_LINKS);
    struct ring ring = {.links = (int)weights->shape[2]};
    for (int k = 0; k < ring.links; k++) {
        int64_t around = x->shape[1] ? distances[k] % x->shape[1] : 0;
        ring.distance[k] = around < 0 ? around + x->shape[1] : around;
    }
    tensor *inputs[] = {tensor_contiguous(x), tensor_contiguous(weights)};
    tensor *y = node_create(x->graph, &ring_sum_operation, 3, x->shape, 2, inputs, &ring, sizeof ring);
    node_count(y, work_of(y), -1);
    return y;
}
