/* Recording: nodes, leaves, costs, raising. */
#include "tensor/graph.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct operation view_operation = {"view", NULL, NULL, 0, false};
static const struct operation output_operation = {"output", NULL, NULL, 0, false};

struct graph *graph_create(struct pool *pool, bool gradients)
{
    struct graph *graph = memory_allocate_zero(1, sizeof *graph);
    graph->pool = pool;
    graph->gradients = gradients;
    return graph;
}

void graph_free(struct graph *graph)
{
    if (!graph)
        return;
    graph_release_buffers(graph);
    free(graph->tape);
    free(graph->needed);
    free(graph->held);
    arena_release(&graph->arena);
    free(graph);
}

struct arena *graph_arena(struct graph *graph)
{
    return &graph->arena;
}

struct pool *graph_pool(struct graph *graph)
{
    return graph->pool;
}

bool graph_protect(struct graph *graph, void (*body)(struct graph *, void *), void *argument,
                   struct error *error)
{
    jmp_buf here;
    jmp_buf *outer = graph->protect;
    struct error *outer_error = graph->error;
    graph->protect = &here;
    graph->error = error;
    bool ok = setjmp(here) == 0;
    if (ok)
        body(graph, argument);
    graph->protect = outer;
    graph->error = outer_error;
    return ok;
}

void graph_raise(struct graph *graph, enum status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    struct error unprotected = ERROR_INIT;
    struct error *error = graph->error ? graph->error : &unprotected;
    error_set_va(error, status, format, arguments);
    va_end(arguments);
    if (!graph->protect)
        BUG("raised outside graph_protect(): %s", error->message);
    longjmp(*graph->protect, 1);
}

/* ---- Recording ---- */

static tensor *append_node(struct graph *graph, const struct operation *operation, int rank,
                           const int64_t *shape)
{
    if (rank < 1 || rank > TENSOR_MAX_RANK)
        graph_raise(graph, STATUS_USAGE, "%s: rank %d is outside 1 to %d",
                    operation ? operation->name : "leaf", rank, TENSOR_MAX_RANK);
    if (graph->count == graph->capacity) {
        graph->capacity = graph->capacity ? 2 * graph->capacity : 256;
        graph->tape = memory_resize(graph->tape, size_multiply((size_t)graph->capacity, sizeof *graph->tape));
    }
    tensor *x = arena_allocate(&graph->arena, sizeof *x);
    x->graph = graph;
    x->operation = operation;
    x->rank = rank;
    x->base = x;
    x->index = graph->count;
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        if (shape[i] < 0 || (shape[i] && stride > INT64_MAX / (int64_t)sizeof(real) / shape[i]))
            graph_raise(graph, STATUS_USAGE, "%s: a shape is negative or too large",
                        operation ? operation->name : "leaf");
        x->shape[i] = shape[i];
        x->stride[i] = stride;
        stride *= shape[i] ? shape[i] : 1;
    }
    graph->tape[graph->count++] = x;
    return x;
}

tensor *node_create(struct graph *graph, const struct operation *operation, int rank, const int64_t *shape,
                    int input_count, tensor *const *inputs, const void *attributes, size_t attribute_size)
{
    tensor *y = append_node(graph, operation, rank, shape);
    if (input_count > TENSOR_MAX_INPUTS)
        BUG("%s has %d inputs", operation->name, input_count);
    y->input_count = input_count;
    double elements = (double)tensor_size(y);
    for (int i = 0; i < input_count; i++) {
        y->inputs[i] = inputs[i];
        elements += (double)tensor_size(inputs[i]);
        y->needs_gradient |= inputs[i]->needs_gradient && operation->backward;
    }
    if (attribute_size) {
        y->attributes = arena_allocate(&graph->arena, attribute_size);
        memcpy(y->attributes, attributes, attribute_size);
    }
    graph->cost.bytes += elements * sizeof(real);
    if (y->needs_gradient)
        graph->cost.backward_bytes += 2 * elements * sizeof(real);
    return y;
}

tensor *node_add_output(tensor *primary, int rank, const int64_t *shape)
{
    tensor *y = append_node(primary->graph, &output_operation, rank, shape);
    y->inputs[0] = primary;
    y->input_count = 1;
    y->needs_gradient = primary->needs_gradient;
    tensor *last = primary;
    while (last->next_output)
        last = last->next_output;
    last->next_output = y;
    primary->graph->cost.bytes += (double)tensor_size(y) * sizeof(real);
    return y;
}

tensor *node_output(tensor *primary, int number)
{
    while (number--)
        primary = primary->next_output;
    return primary;
}

tensor *node_view(tensor *x, int rank, const int64_t *shape, const int64_t *stride, int64_t offset)
{
    tensor *y = append_node(x->graph, &view_operation, rank, shape);
    memcpy(y->stride, stride, (size_t)rank * sizeof *stride);
    y->inputs[0] = x;
    y->input_count = 1;
    y->base = x->base;
    y->offset = x->offset + offset;
    y->needs_gradient = x->needs_gradient;
    return y;
}

tensor *node_write(tensor *target, const struct operation *operation, int rank, const int64_t *shape,
                   const int64_t *stride, int64_t offset, int input_count, tensor *const *inputs,
                   const void *attributes, size_t attribute_size)
{
    tensor *y =
        node_create(target->graph, operation, rank, shape, input_count, inputs, attributes, attribute_size);
    memcpy(y->stride, stride, (size_t)rank * sizeof *stride);
    y->base = target->base;
    y->offset = target->offset + offset;
    return y;
}

void node_count(tensor *y, double flops, double backward_flops)
{
    struct cost *cost = &y->graph->cost;
    cost->flops += flops;
    if (y->needs_gradient)
        cost->backward_flops += backward_flops < 0 ? 2 * flops : backward_flops;
}

struct cost cost_difference(struct cost a, struct cost b)
{
    return (struct cost){a.flops - b.flops, a.bytes - b.bytes, a.backward_flops - b.backward_flops,
                         a.backward_bytes - b.backward_bytes};
}

struct cost graph_cost(const struct graph *graph)
{
    return cost_difference(graph->cost, graph->spared);
}

size_t graph_node_count(const struct graph *graph)
{
    return (size_t)graph->count;
}

tensor *tensor_leaf(struct graph *graph, real *data, int rank, const int64_t *shape, bool needs_gradient)
{
    tensor *x = append_node(graph, NULL, rank, shape);
    x->data = data;
    x->needs_gradient = needs_gradient && graph->gradients;
    return x;
}

tensor *tensor_constant(struct graph *graph, const real *values, int rank, const int64_t *shape)
{
    tensor *x = tensor_leaf(graph, NULL, rank, shape, false);
    size_t bytes = (size_t)tensor_size(x) * sizeof(real);
    x->data = arena_allocate(&graph->arena, bytes);
    if (values)
        memcpy(x->data, values, bytes);
    return x;
}

tensor *tensor_full(struct graph *graph, double value, int rank, const int64_t *shape)
{
    tensor *x = tensor_constant(graph, NULL, rank, shape);
    for (int64_t i = 0, n = tensor_size(x); i < n; i++)
        x->data[i] = (real)value;
    return x;
}

tensor *tensor_scalar(struct graph *graph, double value)
{
    return tensor_full(graph, value, 1, SHAPE(1));
}

tensor *tensor_range(struct graph *graph, int64_t start, int64_t length, double step)
{
    tensor *x = tensor_constant(graph, NULL, 1, SHAPE(length));
    for (int64_t i = 0; i < length; i++)
        x->data[i] = (real)((double)start + step * (double)i);
    return x;
}

tensor *graph_keep(tensor *value)
{
    value->keep = true;
    value->base->keep = true;
    return value;
}
