#include "tensor/blas.h"
#include "tensor/operation.h"
#include "tensor/strided.h"
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct graph {
    struct arena arena;
    struct pool *pool;
    bool gradients;
    tensor **tape; /* nodes in the order they were made; inputs come before their readers */
    int count, capacity;
    struct cost cost;
    bool *needed; /* per node, for the latest run */
    bool holds;
    real **held; /* per node, from the first run of a graph that holds; NULL before it */
    jmp_buf *protect;
    struct error *error;  /* where a raise puts its message, while protected */
    struct error failure; /* of the present run, by graph_fail() */
    bool timed;
    double core_seconds; /* of the latest run, while timed */
};

enum { MAX_SAVED_THREADS = 1024 };

static const struct operation view_operation = {"view", NULL, NULL, 0, false};
static const struct operation output_operation = {"output", NULL, NULL, 0, false};

struct graph *graph_create(struct pool *pool, bool gradients)
{
    struct graph *graph = memory_allocate_zero(1, sizeof *graph);
    graph->pool = pool;
    graph->gradients = gradients;
    return graph;
}

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

void graph_free(struct graph *graph)
{
    if (!graph)
        return;
    for (int i = 0; i < graph->count; i++) {
        release_data(graph, graph->tape[i]);
        release_gradient(graph, graph->tape[i]);
    }
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

void graph_fail(struct graph *graph, enum status status, const char *format, ...)
{
    if (graph->failure.status)
        return;
    va_list arguments;
    va_start(arguments, format);
    error_set_va(&graph->failure, status, format, arguments);
    va_end(arguments);
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

struct cost graph_cost(const struct graph *graph)
{
    return graph->cost;
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

/* ---- Running ---- */

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

/* Denormals are flushed to zero while computing (gated states decay into them, at a hundred times the cost) and
 * the state of each thread is put back afterwards. Worker threads follow at the first parallel loop of a run: a small
 * graph wakes none. */
#if defined(__x86_64__)
enum { FLUSH_AND_ZERO = 0x8040 };

static _Thread_local struct {
    bool running, workers;
    unsigned saved[MAX_SAVED_THREADS];
} flushing;

static void flush_thread(unsigned *saved)
{
    *saved = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(*saved | FLUSH_AND_ZERO);
}

static void flush_workers(void)
{
    if (!flushing.running || flushing.workers)
        return;
    unsigned *saved = flushing.saved;
    __builtin_ia32_ldmxcsr(saved[0]); /* threads that the loop starts inherit the state */
#pragma omp parallel num_threads(tensor_threads())
    {
        int thread = omp_get_thread_num();
        if (thread < MAX_SAVED_THREADS)
            flush_thread(&saved[thread]);
    }
    flushing.workers = true;
}

static void start_flushing(void)
{
    flushing.running = true;
    flushing.workers = false;
    flush_thread(&flushing.saved[0]);
}

static void stop_flushing(void)
{
    unsigned *saved = flushing.saved;
    if (flushing.workers) {
#pragma omp parallel num_threads(tensor_threads())
        {
            int thread = omp_get_thread_num();
            if (thread > 0 && thread < MAX_SAVED_THREADS)
                __builtin_ia32_ldmxcsr(saved[thread]);
        }
    }
    __builtin_ia32_ldmxcsr(saved[0]);
    flushing.running = false;
}
#else
static void flush_workers(void)
{
}

static void start_flushing(void)
{
}

static void stop_flushing(void)
{
}
#endif

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

static bool is_weight_product(const tensor *y)
{
    return strcmp(y->operation->name, "matmul") == 0 && !y->inputs[1]->base->operation;
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

static void run_forward(struct graph *graph)
{
    graph->core_seconds = 0;
    if (graph->holds && !graph->held)
        graph->held = memory_allocate_zero((size_t)graph->count, sizeof *graph->held);
    for (int i = 0; i < graph->count; i++) {
        tensor *x = graph->tape[i];
        release_data(graph, x);
        release_gradient(graph, x);
        x->pending = 0;
    }
    mark_needed(graph);
    count_readers(graph);
    for (int i = 0; i < graph->count; i++) {
        tensor *y = graph->tape[i];
        if (!graph->needed[i] || !y->operation)
            continue;
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

/* ---- Threads ---- */

static int thread_count; /* 0: the machine's cores */

void tensor_set_threads(int threads)
{
    thread_count = threads > 0 ? threads : 0;
}

int tensor_threads(void)
{
    static int cores; /* asking is a system call */
    if (!cores)
        cores = omp_get_num_procs();
    return thread_count > 0 ? thread_count : cores;
}

int threads_for(double work)
{
    int threads = work < 20000 ? 1 : tensor_threads();
    if (threads > 1)
        flush_workers();
    return threads;
}
