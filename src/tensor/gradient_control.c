/* Gradients that end or go elsewhere. */
#include "tensor/operation.h"
#include "tensor/strided.h"
#include <string.h>

static void stop_gradient_forward(tensor *y)
{
    const tensor *x = y->inputs[0];
    strided_copy(y->rank, y->shape, y->data, y->stride, x->data, x->stride, false);
}

static const struct operation stop_gradient_operation = {"stop_gradient", stop_gradient_forward, NULL, 0,
                                                         false};

tensor *tensor_stop_gradient(tensor *x)
{
    if (!x->needs_gradient)
        return x;
    if (graph_holds(x->graph))
        return node_create(x->graph, &stop_gradient_operation, x->rank, x->shape, 1, &x, NULL, 0);
    tensor *y = node_view(x, x->rank, x->shape, x->stride, 0);
    y->needs_gradient = false;
    return y;
}

static void straight_through_forward(tensor *y)
{
    const tensor *x = y->inputs[0];
    strided_copy(y->rank, y->shape, y->data, y->stride, x->data, x->stride, false);
}

static void straight_through_backward(tensor *y)
{
    const tensor *x = y->inputs[1];
    real *dx = input_gradient(y, 1);
    if (dx)
        strided_copy(y->rank, y->shape, dx, x->stride, output_gradient(y), y->stride, true);
}

static const struct operation straight_through_operation = {"straight_through", straight_through_forward,
                                                            straight_through_backward, 0, false};

tensor *tensor_straight_through(tensor *forward, tensor *backward)
{
    bool same = forward->rank == backward->rank &&
                memcmp(forward->shape, backward->shape, sizeof(int64_t) * (size_t)forward->rank) == 0;
    require(same, backward, "straight_through", "two tensors of one shape");
    if (graph_holds(forward->graph))
        return tensor_add(tensor_stop_gradient(tensor_subtract(forward, backward)), backward);
    tensor *inputs[] = {forward, backward};
    return node_create(forward->graph, &straight_through_operation, forward->rank, forward->shape, 2, inputs,
                       NULL, 0);
}
