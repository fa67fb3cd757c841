/* Work that is left out when it would change nothing: run.c passes over the nodes of a guarded region. */
#include "tensor/graph.h"
#include <string.h>

struct region {
    int last;         /* index of the node after the region's last */
    struct cost cost; /* of what is recorded inside */
};

/* Its output is 1 where the region is left out. */
static void guard_forward(tensor *y)
{
    const tensor *condition = y->inputs[0];
    struct region *const *region = y->attributes;
    int64_t size = tensor_size(condition);
    bool zero = true;
    for (int64_t i = 0; i < size && zero; i++)
        zero = condition->data[i] == 0;
    y->data[0] = zero;
    if (zero)
        graph_pass_over(y->graph, (*region)->last, (*region)->cost);
}

static const struct operation guard_operation = {"guard", guard_forward, NULL, 0, false};

tensor *tensor_guard(tensor *condition)
{
    struct graph *graph = condition->graph;
    struct region *region = arena_allocate(graph_arena(graph), sizeof *region);
    condition = tensor_contiguous(condition);
    tensor *guard = node_create(graph, &guard_operation, 1, SHAPE(1), 1, &condition, &region, sizeof region);
    *region = (struct region){.cost = graph_cost(graph)};
    return guard;
}

/* ---- The region's results ------------------------------------------------------------------------------ */

static int chosen(const tensor *y)
{
    return y->inputs[0]->data[0] != 0 ? 2 : 1;
}

/* In place where the storage is that of the chosen input, which has no other reader. */
static void guarded_forward(tensor *y)
{
    const real *from = y->inputs[chosen(y)]->data;
    if (from != y->data)
        memcpy(y->data, from, (size_t)tensor_size(y) * sizeof *from);
}

static void guarded_backward(tensor *y)
{
    int from = chosen(y);
    if (pass_gradient(y, from))
        return;
    const real *dy = output_gradient(y);
    real *dx = input_gradient(y, from);
    for (int64_t i = 0, n = tensor_size(y); i < n && dx; i++)
        dx[i] += dy[i];
}

static const struct operation guarded_operation = {"guarded", guarded_forward, guarded_backward,
                                                   SAVES_INPUT(0), true};

tensor *tensor_guarded(tensor *guard, tensor *made, tensor *otherwise)
{
    struct graph *graph = guard->graph;
    require(guard->operation == &guard_operation, guard, "guarded", "a guard");
    struct region *region = *(struct region **)guard->attributes;
    if (region->last == 0) {
        region->last = graph->count;
        region->cost = cost_difference(graph_cost(graph), region->cost);
    }
    require(made->rank == otherwise->rank &&
                memcmp(made->shape, otherwise->shape, sizeof(int64_t) * (size_t)made->rank) == 0,
            otherwise, "guarded", "the shape of what is made");
    require(made->base == made && made->index < region->last, made, "guarded",
            "a result of the region, no view");
    tensor *inputs[] = {guard, made, tensor_contiguous(otherwise)};
    return node_create(graph, &guarded_operation, made->rank, made->shape, 3, inputs, NULL, 0);
}
