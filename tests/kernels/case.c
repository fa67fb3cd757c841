#include "case.h"
#include "base/memory.h"
#include "block/check.h"
#include "tensor/random.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SEED = 5 };
static const double limit = sizeof(real) == sizeof(double) ? 1e-9 : 2e-4;

/* The rows from `start` on of the further input, if there is one. */
static struct inputs inputs_of(const struct kernel_case *c, struct graph *graph, int64_t start, int64_t rows)
{
    struct inputs inputs = {0};
    for (int n = 0; n < c->input_count; n++) {
        const struct case_input *given = &c->inputs[n];
        tensor *values = tensor_constant(graph, NULL, given->rank, given->shape);
        for (int64_t i = 0; i < tensor_size(values); i++)
            values->data[i] = (real)given->values[i];
        inputs.names[n] = given->name;
        inputs.values[n] = values;
        inputs.count++;
    }
    if (!c->input)
        return inputs;
    tensor *values = tensor_constant(graph, NULL, 2, SHAPE(c->batch, rows));
    for (int64_t i = 0; i < c->batch * rows; i++)
        values->data[i] = (real)c->values[i / rows * c->length + start + i % rows];
    inputs.names[inputs.count] = c->input;
    inputs.values[inputs.count++] = values;
    return inputs;
}

struct run {
    struct kernel_case *c;
    real *x;
};

static void record(struct graph *graph, void *argument)
{
    struct run *run = argument;
    struct kernel_case *c = run->c;
    tensor *x = tensor_leaf(graph, run->x, 3, SHAPE(c->batch, c->length, c->width), false);
    struct inputs inputs = inputs_of(c, graph, 0, c->length);
    tensor *y = graph_keep(tensor_contiguous(block_forward(c->block, x, &inputs)));
    graph_run(graph);
    c->rows = y->shape[1];
    c->columns = y->shape[2];
    int64_t size = tensor_size(y);
    c->y = memory_allocate((size_t)size * sizeof *c->y);
    for (int64_t i = 0; i < size; i++)
        c->y[i] = (double)y->data[i];
}

static void parse(const char *json, struct composition *composition)
{
    struct error error = ERROR_INIT;
    cJSON *document = cJSON_Parse(json);
    assert_non_null(document);
    struct json_at at = json_root(document, "composition");
    if (composition_parse(&at, composition, &error))
        fail_msg("%s", error.message);
    cJSON_Delete(document);
}

/* The rest of `c` is set. */
static void open_case(struct kernel_case *c, const char *json, bool alone, int64_t batch, int64_t length,
                      int64_t width)
{
    struct composition composition;
    struct error error = ERROR_INIT;
    c->batch = batch;
    c->length = length;
    c->width = width;
    parse(json, &composition);
    struct pool *pool = pool_create();
    struct graph *graph = graph_create(pool, false);
    struct inputs inputs = inputs_of(c, graph, 0, length);
    struct block_options options = {
        .width = width, .alone = alone, .seed = SEED, .length = length, .batch = batch, .inputs = &inputs};
    if (block_create(&composition, &options, &c->block, &error))
        fail_msg("%s", error.message);
    graph_free(graph);
    composition_release(&composition);
    for (size_t i = 0; i < c->block->parameters.count; i++) {
        struct parameter_entry *entry = c->block->parameters.entries[i];
        if (entry->trained)
            random_fill_normal(SEED, i + 1, 0, parameter_size(entry), 0, 0.5, entry->data);
    }
    int64_t size = batch * length * width;
    real *x = memory_allocate((size_t)size * sizeof *x);
    random_fill_normal(SEED, 0, 0, size, 0, 1, x);
    c->x = memory_allocate((size_t)size * sizeof *c->x);
    for (int64_t i = 0; i < size; i++)
        c->x[i] = (double)x[i];
    graph = graph_create(pool, false);
    if (!graph_protect(graph, record, &(struct run){c, x}, &error))
        fail_msg("%s", error.message);
    graph_free(graph);
    pool_free(pool);
    free(x);
}

void case_open(struct kernel_case *c, const char *json, int64_t batch, int64_t length, int64_t width)
{
    *c = (struct kernel_case){.input = NULL};
    open_case(c, json, true, batch, length, width);
}

void case_open_stack(struct kernel_case *c, const char *json, int64_t batch, int64_t length, int64_t width)
{
    *c = (struct kernel_case){.input = NULL};
    open_case(c, json, false, batch, length, width);
}

void case_open_with_input(struct kernel_case *c, const char *json, int64_t batch, int64_t length,
                          int64_t width, const char *input, const double *values)
{
    *c = (struct kernel_case){.input = input, .values = values};
    open_case(c, json, false, batch, length, width);
}

void case_open_with_inputs(struct kernel_case *c, const char *json, int64_t batch, int64_t length,
                           int64_t width, const struct case_input *inputs, int count)
{
    *c = (struct kernel_case){.inputs = inputs, .input_count = count};
    open_case(c, json, false, batch, length, width);
}

void case_expect_refused(const char *json, int64_t width, const char *message)
{
    struct composition composition;
    struct error error = ERROR_INIT;
    struct block *block;
    parse(json, &composition);
    struct block_options options = {.width = width, .seed = SEED};
    assert_int_equal(block_create(&composition, &options, &block, &error), STATUS_USAGE);
    assert_string_equal(error.message, message);
    composition_release(&composition);
}

void case_close(struct kernel_case *c)
{
    block_free(c->block);
    free(c->x);
    free(c->y);
}

const real *case_values(const struct kernel_case *c, const char *name)
{
    const struct parameter_entry *entry = parameters_find(&c->block->parameters, name);
    if (!entry)
        fail_msg("there is no parameter '%s'", name);
    return entry->data;
}

void case_linear(const struct kernel_case *c, const char *name, const double *x, int64_t inputs, double *y,
                 int64_t outputs)
{
    char full[128];
    snprintf(full, sizeof full, "%s.weight", name);
    const real *weight = case_values(c, full);
    snprintf(full, sizeof full, "%s.bias", name);
    const struct parameter_entry *bias = parameters_find(&c->block->parameters, full);
    for (int64_t o = 0; o < outputs; o++) {
        y[o] = bias ? (double)bias->data[o] : 0;
        for (int64_t i = 0; i < inputs; i++)
            y[o] += (double)weight[o * inputs + i] * x[i];
    }
}

static void expect(const struct kernel_case *c, const double *got, const double *want)
{
    int64_t size = c->batch * c->rows * c->columns;
    double squares = 0;
    for (int64_t i = 0; i < size; i++)
        squares += want[i] * want[i];
    double scale = sqrt(squares / (double)size);
    assert_true(scale > 0);
    for (int64_t i = 0; i < size; i++)
        if (!(fabs(got[i] - want[i]) <= limit * scale))
            fail_msg("row %lld, column %lld of entry %lld is %.12g instead of %.12g",
                     (long long)(i / c->columns % c->rows), (long long)(i % c->columns),
                     (long long)(i / c->columns / c->rows), got[i], want[i]);
}

void case_expect(const struct kernel_case *c, const double *want)
{
    expect(c, c->y, want);
}

struct step {
    const struct kernel_case *c;
    struct state *state;
    int64_t position;
    double *y; /* of the whole case */
};

static void take_step(struct graph *graph, void *argument)
{
    struct step *step = argument;
    const struct kernel_case *c = step->c;
    tensor *x = tensor_constant(graph, NULL, 3, SHAPE(c->batch, 1, c->width));
    for (int64_t i = 0; i < c->batch * c->width; i++)
        x->data[i] = (real)c->x[(i / c->width * c->length + step->position) * c->width + i % c->width];
    struct inputs inputs = inputs_of(c, graph, step->position, 1);
    tensor *y = graph_keep(tensor_contiguous(block_step(c->block, x, step->state, step->position, &inputs)));
    graph_run(graph);
    state_commit(step->state);
    for (int64_t i = 0; i < c->batch * c->columns; i++)
        step->y[(i / c->columns * c->length + step->position) * c->columns + i % c->columns] =
            (double)y->data[i];
}

void case_expect_steps(const struct kernel_case *c, const double *want)
{
    struct error error = ERROR_INIT;
    struct pool *pool = pool_create();
    struct step step = {c, state_create(), 0,
                        memory_allocate((size_t)(c->batch * c->length * c->columns) * sizeof(double))};
    for (; step.position < c->length; step.position++) {
        struct graph *graph = graph_create(pool, false);
        if (!graph_protect(graph, take_step, &step, &error))
            fail_msg("%s", error.message);
        graph_free(graph);
    }
    expect(c, step.y, want);
    free(step.y);
    state_free(step.state);
    pool_free(pool);
}

static void expect_properties(const char *json, bool alone)
{
    struct composition composition;
    struct check_result result;
    parse(json, &composition);
    check_composition(&composition, alone, &result);
    for (size_t i = 0; i < result.count; i++)
        if (result.properties[i].outcome == CHECK_FAILED)
            fail_msg("%s: %s", result.properties[i].name, result.properties[i].detail);
    composition_release(&composition);
}

void case_expect_properties(const char *json)
{
    expect_properties(json, true);
}

void case_expect_stack_properties(const char *json)
{
    expect_properties(json, false);
}
