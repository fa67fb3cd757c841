/* Products of complex numbers, (real, imaginary) in the last axis. */
#include "tensor/loops/complex.h"
#include "tensor/broadcast.h"
#include "tensor/operation.h"
#include <string.h>

/* The last axis is common to all operands, so rows and their pieces hold whole numbers. */
static void product_row(const tensor *y, const struct space *space, const int64_t *offset, int64_t n)
{
    complex_loops()->multiply(n / 2, y->inputs[0]->data + offset[1], y->inputs[1]->data + offset[2],
                              y->data + offset[0]);
}

static void sum_a(const tensor *y, const struct space *space, const int64_t *offset, int64_t n, real *sum)
{
    complex_loops()->multiply_conjugate_add(n / 2, y->gradient + offset[0], y->inputs[1]->data + offset[2],
                                            sum);
}

static void sum_b(const tensor *y, const struct space *space, const int64_t *offset, int64_t n, real *sum)
{
    complex_loops()->multiply_conjugate_add(n / 2, y->gradient + offset[0], y->inputs[0]->data + offset[1],
                                            sum);
}

static void complex_multiply_forward(tensor *y)
{
    struct space space = space_of(y);
    space_each_row(y, &space, product_row);
}

static void complex_multiply_backward(tensor *y)
{
    struct space space = space_of(y);
    real *da = input_gradient(y, 0), *db = input_gradient(y, 1);
    if (da)
        space_collect(y, &space, 1, sum_a, da);
    if (db)
        space_collect(y, &space, 2, sum_b, db);
}

static const struct operation complex_multiply_operation = {"complex_multiply", complex_multiply_forward,
                                                            complex_multiply_backward,
                                                            SAVES_INPUT(0) | SAVES_INPUT(1), true};

tensor *tensor_complex_multiply(tensor *a, tensor *b)
{
    const char *name = complex_multiply_operation.name;
    int rank = a->rank;
    int64_t shape[TENSOR_MAX_RANK];
    require(a->shape[a->rank - 1] == 2, a, name, "a last axis of (real, imaginary)");
    require(b->shape[b->rank - 1] == 2, b, name, "a last axis of (real, imaginary)");
    memcpy(shape, a->shape, sizeof shape);
    broadcast_shape(&rank, shape, b, name);
    tensor *inputs[] = {with_even_rows(a, rank, shape), with_even_rows(b, rank, shape)};
    tensor *y = node_create(a->graph, &complex_multiply_operation, rank, shape, 2, inputs, NULL, 0);
    node_count(y, 3 * (double)tensor_size(y), -1);
    return y;
}
