/* Running what is recorded, forward and backward, with each buffer freed or taken over after its last
 * reader. */
#include "tensor/blas.h"
#include "tensor/graph.h"
#include "tensor/strided.h"
#include "tensor/threads.h"
#include <omp.h>
#include <stdarg.h>
#include <string.h>

static bool owns_storage(const tensor *x)
{
    return x->base == x && x->operation;
}

static void release_data(struct graph *graph, tensor *x)
{
    if (owns_storage(x) && x->data) {
        pool_give(graph->pool, x->data);
        x->data = NULL;
    }
}

static void release_gradient(struct graph *graph, tensor *x)
{
    if (x->base == x && x->gradient)
        pool_give(graph->pool, x->gradient);
    x->gradient = NULL;
}

void graph_release_buffers(struct graph *graph)
{
    for (int i = 0; i < graph->count; i++) {
        tensor *x = graph->tape[i];
        release_data(graph, x);
        release_gradient(graph, x);
        x->pending = 0;
    }
}

void graph_fail(struct graph *graph, enum status status, const char *format, ...)
{
    if (graph->failure.status)
        return;
    va_list arguments;
    va_start(arguments, format);
    error_set_va(&graph->failure, status, format, arguments);
    va_end(arguments);
}

/* ---- Readers and storage ---- */

static void mark_needed(struct graph *graph)
{
    graph->needed = memory_resize(graph->needed, (size_t)graph->count + 1);
    memset(graph->needed, 0, (size_t)graph->count + 1);
    for (int i = graph->count - 1; i >= 0; i--) {
        tensor *x = graph->tape[i];
        if (x->keep)
            graph->needed[i] = true;
        if (!graph->needed[i])
            continue;
        graph->needed[x->base->index] = true;
        for (int j = 0; j < x->input_count; j++)
            graph->needed[x->inputs[j]->index] = true;
    }
}

static bool saves_for_backward(const struct graph *graph, const tensor *y)
{
    return graph->gradients && y->needs_gradient && y->operation && y->operation->backward;
}

/* Calls visit on the storage of everything that y's backward reads. */
static void each_saved(tensor *y, void (*visit)(tensor *storage))
{
    for (int j = 0; j < y->input_count; j++)
        if (y->operation->saves & SAVES_INPUT(j))
            visit(y->inputs[j]->base);
    if (y->operation->saves & SAVES_OUTPUT)
        for (tensor *output = y; output; output = output->next_output)
            visit(output->base);
}

static void add_reader(tensor *storage)
{
    storage->pending++;
}

static void drop_reader(tensor *storage)
{
    if (--storage->pending == 0 && !storage->keep)
        release_data(storage->graph, storage);
}

static void count_readers(struct graph *graph)
{
    for (int i = 0; i < graph->count; i++) {
        tensor *y = graph->tape[i];
        if (!graph->needed[i] || !y->operation || !y->operation->forward)
            continue;
        for (int j = 0; j < y->input_count; j++)
            add_reader(y->inputs[j]->base);
        if (saves_for_backward(graph, y))
            each_saved(y, add_reader);
    }
}

/* Takes over the storage of an input that y is the last to read. */
static bool steal_storage(tensor *y)
{
    if (!y->operation->in_place)
        return false;
    for (int j = 0; j < y->input_count; j++) {
        tensor *x = y->inputs[j];
        if (owns_storage(x) && x->data && !x->keep && x->pending == 1 && tensor_size(x) == tensor_size(y) &&
            x->rank == y->rank && memcmp(x->shape, y->shape, sizeof(int64_t) * (size_t)x->rank) == 0) {
            y->data = x->data;
            return true;
        }
    }
    return false;
}

static void allocate_outputs(struct graph *graph, tensor *y)
{
    if (!steal_storage(y))
        y->data = pool_take(graph->pool, (size_t)tensor_size(y) * sizeof(real));
    for (tensor *output = y->next_output; output; output = output->next_output)
        output->data = pool_take(graph->pool, (size_t)tensor_size(output) * sizeof(real));
}

static void finish_inputs(tensor *y)
{
    for (int j = 0; j < y->input_count; j++) {
        tensor *storage = y->inputs[j]->base;
        if (owns_storage(storage) && storage->data == y->data && storage->pending == 1) {
            storage->pending = 0; /* stolen */
            storage->data = NULL;
        } else if (storage->operation) {
            drop_reader(storage);
        }
    }
}

/* ---- Running ---- */

static void run_forward(struct graph *graph);
static void run_backward(struct graph *graph);

static void run_flushed(struct graph *graph, void (*run)(struct graph *graph))
{
    blas_use_one_thread();
    graph->failure.status = STATUS_OK;
    start_flushing();
    run(graph);
    stop_flushing();
    if (graph->failure.status)
        graph_raise(graph, graph->failure.status, "%s", graph->failure.message);
}

void graph_run(struct graph *graph)
{
    run_flushed(graph, run_forward);
}

void graph_backward(struct graph *graph)
{
    run_flushed(graph, run_backward);
}

/* ---- Timing ---- */

void graph_time_nodes(struct graph *graph, bool on)
{
    graph->timed = on;
}

double graph_core_seconds(const struct graph *graph)
{
    return graph->core_seconds;
}

/* A leaf, or a matrix computed from leaves that are vectors and matrices, as rounded weights are: what comes
 * from activations goes back to a leaf with more axes. */
static bool is_weight(const tensor *x)
{
    const tensor *base = x->base;
    if (!base->operation)
        return true;
    bool weight = base->rank <= 2;
    for (int i = 0; weight && i < base->input_count; i++)
        weight = base->inputs[i]->base->rank <= 2 && is_weight(base->inputs[i]);
    return weight;
}

static bool is_weight_product(const tensor *y)
{
    return strcmp(y->operation->name, "matmul") == 0 && is_weight(y->inputs[1]);
}

static void call_timed(tensor *y, void (*function)(tensor *y))
{
    if (!y->graph->timed || is_weight_product(y)) {
        function(y);
        return;
    }
    double start = omp_get_wtime();
    function(y);
    y->graph->core_seconds += omp_get_wtime() - start;
}

/* ---- Holding ---- */

void graph_hold(struct graph *graph)
{
    graph->holds = true;
}

bool graph_holds(const struct graph *graph)
{
    return graph->holds;
}

/* Whether gradients end at y: it needs none, but something it is computed from does. */
static bool ends_gradients(const tensor *y)
{
    bool reached = false;
    for (int j = 0; j < y->input_count; j++)
        reached |= y->inputs[j]->needs_gradient;
    return reached && !y->needs_gradient && y->base == y;
}

/* Computes y, or in a graph that holds copies it from the first run where gradients end at it. */
static void compute(tensor *y)
{
    struct graph *graph = y->graph;
    if (!graph->holds || !ends_gradients(y)) {
        call_timed(y, y->operation->forward);
        return;
    }
    bool first = !graph->held[y->index];
    if (first)
        y->operation->forward(y);
    for (tensor *output = y; output; output = output->next_output) {
        real **held = &graph->held[output->index];
        size_t bytes = (size_t)tensor_size(output) * sizeof(real);
        if (first)
            *held = arena_allocate(&graph->arena, bytes);
        memcpy(first ? *held : output->data, first ? output->data : *held, bytes);
    }
}

/* ---- Passing over ---- */

void graph_pass_over(struct graph *graph, int last, struct cost spared)
{
    graph->passed_until = last;
    graph->spared.flops += spared.flops;
    graph->spared.bytes += spared.bytes;
    graph->spared.backward_flops += spared.backward_flops;
    graph->spared.backward_bytes += spared.backward_bytes;
}

/* Leaves y without a value, and its inputs and what its backward would read to their other readers. */
static void pass_over(tensor *y)
{
    struct graph *graph = y->graph;
    y->data = NULL;
    if (y->operation->forward) {
        finish_inputs(y);
        if (saves_for_backward(graph, y))
            each_saved(y, drop_reader);
    }
    graph->needed[y->index] = false;
}

static void run_forward(struct graph *graph)
{
    graph->core_seconds = 0;
    graph->passed_until = 0;
    graph->spared = (struct cost){0};
    if (graph->holds && !graph->held)
        graph->held = memory_allocate_zero((size_t)graph->count, sizeof *graph->held);
    graph_release_buffers(graph);
    mark_needed(graph);
    count_readers(graph);
    for (int i = 0; i < graph->count; i++) {
        tensor *y = graph->tape[i];
        if (!graph->needed[i] || !y->operation)
            continue;
        if (i < graph->passed_until) {
            pass_over(y);
            continue;
        }
        if (y->base != y)
            y->data = y->base->data + y->offset;
        else if (y->operation->forward)
            allocate_outputs(graph, y);
        if (y->operation->forward) {
            compute(y);
            finish_inputs(y);
            if (graph->failure.status)
                return;
            for (tensor *output = y; output; output = output->next_output)
                if (output->pending == 0 && !output->keep)
                    release_data(graph, output);
        }
    }
}

/* ---- Backward ---- */

static real *gradient_of(tensor *x)
{
    if (!x->needs_gradient)
        return NULL;
    tensor *base = x->base;
    if (!base->gradient) {
        size_t bytes = (size_t)tensor_size(base) * sizeof(real);
        base->gradient = pool_take(x->graph->pool, bytes);
        memset(base->gradient, 0, bytes);
    }
    x->gradient = base->gradient + x->offset;
    return x->gradient;
}

real *input_gradient(tensor *y, int i)
{
    return gradient_of(y->inputs[i]);
}

const real *output_gradient(const tensor *y)
{
    return y->gradient;
}

bool pass_gradient(tensor *y, int i)
{
    tensor *x = y->inputs[i];
    if (!x->needs_gradient || x->base != x || x->gradient || y->keep || y->next_output)
        return false;
    x->gradient = y->gradient;
    y->gradient = NULL;
    return true;
}

void graph_seed(tensor *output, const real *seed)
{
    real *gradient = gradient_of(output);
    int64_t row_major[TENSOR_MAX_RANK];
    strided_row_major(output->rank, output->shape, row_major);
    if (gradient)
        strided_copy(output->rank, output->shape, gradient, output->stride, seed, row_major, true);
}

static void run_backward(struct graph *graph)
{
    for (int i = graph->count - 1; i >= 0; i--) {
        tensor *y = graph->tape[i];
        if (!graph->needed[i] || !y->operation || !y->operation->forward)
            continue;
        bool reached = false;
        for (tensor *output = y; output; output = output->next_output)
            reached |= output->gradient != NULL;
        if (saves_for_backward(graph, y)) {
            if (reached)
                call_timed(y, y->operation->backward);
            if (graph->failure.status)
                return;
            each_saved(y, drop_reader);
        }
        for (tensor *output = y; output; output = output->next_output)
            if (!output->keep)
                release_gradient(graph, output);
    }
}

real *scratch_take(struct graph *graph, size_t count)
{
    return pool_take(graph->pool, size_multiply(count ? count : 1, sizeof(real)));
}

void scratch_give(struct graph *graph, real *scratch)
{
    pool_give(graph->pool, scratch);
}
