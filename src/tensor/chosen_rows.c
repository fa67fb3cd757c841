/* Products with few chosen rows of a large table, without a copy of them: its weighted sums, and its products
 * with vectors. */
#include "tensor/loops/rows.h"
#include "tensor/operation.h"
#include <string.h>

enum {
    COLUMNS = 64, /* of a table that one iteration of a parallel loop adds to */
    MOST = 64     /* rows summed at once */
};

/* Inputs: the table [N, D], indices [n, K], and the other factor, the weights [n, K] or the vectors [n,
 * D]. */
struct chosen {
    int64_t rows, width, count, choices; /* N, D, n, K */
};

static double work_of(const struct chosen *c)
{
    return 2.0 * (double)c->count * (double)c->choices * (double)c->width;
}

static bool indices_valid(tensor *y, const struct chosen *c)
{
    const real *indices = y->inputs[1]->data;
    for (int64_t i = 0; i < c->count * c->choices; i++)
        if (!(indices[i] >= 0 && indices[i] < (real)c->rows && indices[i] == (real)(int64_t)indices[i])) {
            graph_fail(y->graph, STATUS_USAGE, "%s: index %g is not a whole number from 0 to %lld",
                       y->operation->name, (double)indices[i], (long long)c->rows - 1);
            return false;
        }
    return true;
}

/* sums[i] += sum_k weights[i, k] table[indices[i, k]] */
static void add_sums(const struct chosen *c, const real *table, const real *indices, const real *weights,
                     real *sums)
{
#pragma omp parallel for num_threads(threads_for(work_of(c))) schedule(static)
    for (int64_t i = 0; i < c->count; i++)
        for (int64_t first = 0; first < c->choices; first += MOST) {
            const real *rows[MOST];
            int64_t some = c->choices - first < MOST ? c->choices - first : MOST;
            for (int64_t k = 0; k < some; k++)
                rows[k] = table + (int64_t)indices[i * c->choices + first + k] * c->width;
            row_loops()->add_weighted(c->width, (int)some, weights + i * c->choices + first, rows,
                                      sums + i * c->width);
        }
}

/* products[i, k] += table[indices[i, k]] . vectors[i] */
static void add_products(const struct chosen *c, const real *table, const real *indices, const real *vectors,
                         real *products)
{
#pragma omp parallel for num_threads(threads_for(work_of(c))) schedule(static)
    for (int64_t i = 0; i < c->count; i++)
        for (int64_t k = i * c->choices; k < (i + 1) * c->choices; k++)
            products[k] +=
                row_loops()->dot(c->width, table + (int64_t)indices[k] * c->width, vectors + i * c->width);
}

/* table[indices[i, k]] += weights[i, k] vectors[i], in this order; columns in parallel. */
static void add_to_table(const struct chosen *c, const real *indices, const real *weights,
                         const real *vectors, real *table)
{
    int64_t tiles = (c->width + COLUMNS - 1) / COLUMNS;
#pragma omp parallel for num_threads(threads_for(work_of(c))) schedule(static)
    for (int64_t tile = 0; tile < tiles; tile++) {
        int64_t start = tile * COLUMNS, width = c->width - start < COLUMNS ? c->width - start : COLUMNS;
        for (int64_t k = 0; k < c->count * c->choices; k++) {
            const real *vector = vectors + k / c->choices * c->width + start;
            row_loops()->add_weighted(width, 1, weights + k, &vector,
                                      table + (int64_t)indices[k] * c->width + start);
        }
    }
}

static void sum_forward(tensor *y)
{
    const struct chosen *c = y->attributes;
    memset(y->data, 0, (size_t)tensor_size(y) * sizeof(real));
    if (indices_valid(y, c))
        add_sums(c, y->inputs[0]->data, y->inputs[1]->data, y->inputs[2]->data, y->data);
}

static void sum_backward(tensor *y)
{
    const struct chosen *c = y->attributes;
    const real *table = y->inputs[0]->data, *indices = y->inputs[1]->data, *weights = y->inputs[2]->data;
    const real *dy = output_gradient(y);
    real *dtable = input_gradient(y, 0), *dweights = input_gradient(y, 2);
    if (dtable)
        add_to_table(c, indices, weights, dy, dtable);
    if (dweights)
        add_products(c, table, indices, dy, dweights);
}

static void product_forward(tensor *y)
{
    const struct chosen *c = y->attributes;
    memset(y->data, 0, (size_t)tensor_size(y) * sizeof(real));
    if (indices_valid(y, c))
        add_products(c, y->inputs[0]->data, y->inputs[1]->data, y->inputs[2]->data, y->data);
}

static void product_backward(tensor *y)
{
    const struct chosen *c = y->attributes;
    const real *table = y->inputs[0]->data, *indices = y->inputs[1]->data, *vectors = y->inputs[2]->data;
    const real *dy = output_gradient(y);
    real *dtable = input_gradient(y, 0), *dvectors = input_gradient(y, 2);
    if (dtable)
        add_to_table(c, indices, dy, vectors, dtable);
    if (dvectors)
        add_sums(c, table, indices, dy, dvectors);
}

enum { SAVES = SAVES_INPUT(0) | SAVES_INPUT(1) | SAVES_INPUT(2) };
static const struct operation sum_operation = {"chosen_sum", sum_forward, sum_backward, SAVES, false};
static const struct operation product_operation = {"chosen_products", product_forward, product_backward,
                                                   SAVES, false};

/* Whether the axes before the last are the same. */
static bool same_but_last(const tensor *a, const tensor *b)
{
    return a->rank == b->rank && memcmp(a->shape, b->shape, sizeof(int64_t) * (size_t)(a->rank - 1)) == 0;
}

/* The result is [.., last]. */
static tensor *record(const struct operation *operation, tensor *table, tensor *indices, tensor *factor,
                      int64_t last)
{
    if (table->rank != 2 || !same_but_last(indices, factor))
        graph_raise(table->graph, STATUS_USAGE, "%s: indices %s and factors %s do not fit a table %s",
                    operation->name, shape_text(indices), shape_text(factor), shape_text(table));
    struct chosen chosen = {
        .rows = table->shape[0], .width = table->shape[1], .choices = tensor_length(indices, -1)};
    chosen.count = chosen.choices ? tensor_size(indices) / chosen.choices : 0;
    int64_t shape[TENSOR_MAX_RANK];
    memcpy(shape, indices->shape, sizeof shape);
    shape[indices->rank - 1] = last;
    tensor *inputs[] = {tensor_contiguous(table), tensor_contiguous(indices), tensor_contiguous(factor)};
    tensor *y = node_create(table->graph, operation, indices->rank, shape, 3, inputs, &chosen, sizeof chosen);
    node_count(y, work_of(&chosen), -1);
    return y;
}

tensor *tensor_chosen_sum(tensor *table, tensor *indices, tensor *weights)
{
    if (tensor_length(weights, -1) != tensor_length(indices, -1))
        graph_raise(table->graph, STATUS_USAGE, "%s: weights %s do not fit indices %s", sum_operation.name,
                    shape_text(weights), shape_text(indices));
    return record(&sum_operation, table, indices, weights, table->shape[1]);
}

tensor *tensor_chosen_products(tensor *table, tensor *indices, tensor *x)
{
    if (tensor_length(x, -1) != table->shape[1])
        graph_raise(table->graph, STATUS_USAGE, "%s: vectors %s do not fit a table %s",
                    product_operation.name, shape_text(x), shape_text(table));
    return record(&product_operation, table, indices, x, tensor_length(indices, -1));
}
