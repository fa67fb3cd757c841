/* Products of sin(z) / z over the channels of each pair of rows. The gradient of a product is the product
 * times the sum of what the logarithms' derivatives give, so no pair needs more memory than its result. */
#include "tensor/loops/rows.h"
#include "tensor/loops/sinc.h"
#include "tensor/operation.h"

struct sinc_product {
    int64_t rows, columns, width; /* T, S, d */
};

/* Keys of all heads with channels first, [B, H, d, S]; from scratch_take(). */
static real *channels_first(const tensor *y)
{
    const struct sinc_product *p = y->attributes;
    const tensor *k = y->inputs[1];
    real *turned = scratch_take(y->graph, (size_t)tensor_size(k));
    int64_t n = p->columns * p->width;
    for (int64_t i = 0; i < tensor_size(k); i++)
        turned[i / n * n + i % p->width * p->columns + i % n / p->width] = k->data[i];
    return turned;
}

static double work_of(const tensor *y)
{
    const struct sinc_product *p = y->attributes;
    return 20.0 * (double)p->width * (double)tensor_size(y);
}

static void forward(tensor *y)
{
    const struct sinc_product *p = y->attributes;
    const real *q = y->inputs[0]->data;
    real rate = *y->inputs[2]->data, *keys = channels_first(y);
    int64_t rows = tensor_size(y) / p->columns;
#pragma omp parallel for num_threads(threads_for(work_of(y))) schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        real *products = y->data + row * p->columns;
        const real *of_head = keys + row / p->rows * p->columns * p->width;
        for (int64_t s = 0; s < p->columns; s++)
            products[s] = 1;
        for (int64_t i = 0; i < p->width; i++)
            sinc_loops()->multiply(p->columns, rate, q[row * p->width + i], of_head + i * p->columns,
                                   products);
    }
    scratch_give(y->graph, keys);
}

/* What one head (entry n of batch x heads) adds to the gradients: dq its own, dk with channels first, and
 * that of the rate. `memory` holds two rows. */
static double head_gradient(const tensor *y, int64_t n, const real *keys, const real *dy, real *dq, real *dk,
                            real *memory)
{
    const struct sinc_product *p = y->attributes;
    int64_t columns = p->columns;
    const real *q = y->inputs[0]->data;
    real rate = *y->inputs[2]->data, *weights = memory, *slopes = memory + columns;
    double of_rate = 0;
    for (int64_t row = n * p->rows; row < (n + 1) * p->rows; row++) {
        for (int64_t s = 0; s < columns; s++)
            weights[s] = dy[row * columns + s] * y->data[row * columns + s];
        for (int64_t i = 0; i < p->width; i++) {
            const real *channel = keys + (n * p->width + i) * columns;
            of_rate +=
                (double)sinc_loops()->slope(columns, rate, q[row * p->width + i], channel, weights, slopes);
            if (dq)
                dq[row * p->width + i] += rate * row_loops()->sum(columns, slopes);
            if (dk)
                row_loops()->add(columns, slopes, dk + (n * p->width + i) * columns);
        }
    }
    return of_rate;
}

static void backward(tensor *y)
{
    const struct sinc_product *p = y->attributes;
    const real *dy = output_gradient(y);
    if (!dy)
        return;
    const tensor *k = y->inputs[1];
    real *dq = input_gradient(y, 0), *dk = input_gradient(y, 1), *drate = input_gradient(y, 2);
    int64_t heads = y->shape[0] * y->shape[1], n = p->columns * p->width;
    real rate = *y->inputs[2]->data, *keys = channels_first(y), *turned = NULL;
    if (dk) {
        turned = scratch_take(y->graph, (size_t)tensor_size(k));
        for (int64_t i = 0; i < tensor_size(k); i++)
            turned[i] = 0;
    }
    real *memory = scratch_take(y->graph, (size_t)(heads * (2 * p->columns + 1)));
    real *of_rate = memory + heads * 2 * p->columns;
#pragma omp parallel for num_threads(threads_for(2 * work_of(y))) schedule(static)
    for (int64_t head = 0; head < heads; head++)
        of_rate[head] = (real)head_gradient(y, head, keys, dy, dq, turned, memory + head * 2 * p->columns);
    for (int64_t i = 0; dk && i < tensor_size(k); i++)
        dk[i] -= rate * turned[i / n * n + i % p->width * p->columns + i % n / p->width];
    for (int64_t head = 0; drate && head < heads; head++)
        *drate += of_rate[head];
    scratch_give(y->graph, memory);
    if (turned)
        scratch_give(y->graph, turned);
    scratch_give(y->graph, keys);
}

static const struct operation sinc_product_operation = {
    "sinc_product", forward, backward, SAVES_INPUT(0) | SAVES_INPUT(1) | SAVES_INPUT(2) | SAVES_OUTPUT,
    false};

tensor *tensor_sinc_product(tensor *q, tensor *k, tensor *rate)
{
    require(q->rank == 4, q, "sinc_product", "queries [B, H, T, d]");
    bool fits = k->rank == 4 && k->shape[0] == q->shape[0] && k->shape[1] == q->shape[1] &&
                k->shape[3] == q->shape[3];
    if (!fits)
        graph_raise(q->graph, STATUS_USAGE, "sinc_product: keys %s do not fit queries %s", shape_text(k),
                    shape_text(q));
    require(tensor_size(rate) == 1, rate, "sinc_product", "a rate [1]");
    struct sinc_product p = {q->shape[2], k->shape[2], q->shape[3]};
    tensor *inputs[] = {tensor_contiguous(q), tensor_contiguous(k), tensor_contiguous(rate)};
    tensor *y = node_create(q->graph, &sinc_product_operation, 4,
                            SHAPE(q->shape[0], q->shape[1], p.rows, p.columns), 3, inputs, &p, sizeof p);
    node_count(y, work_of(y), -1);
    return y;
}
