#include "bench/measurement.h"
#include "base/memory.h"
#include "bench/clock.h"
#include "bench/statistics.h"
#include "tensor/random.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Recording ---- */

static tensor *input_of(struct measurement *m, struct graph *graph, int64_t length)
{
    return tensor_leaf(graph, m->input, 3, SHAPE(m->batch, length, m->width), m->mode == MODE_TRAIN);
}

static void record_parallel(struct graph *graph, void *argument)
{
    struct measurement *m = argument;
    m->output = graph_keep(block_forward(m->block, input_of(m, graph, m->length), NULL));
}

/* `length` tokens behind `position` others. */
struct recording {
    struct measurement *measurement;
    int64_t length, position;
};

static void record_step(struct graph *graph, void *argument)
{
    const struct recording *recording = argument;
    struct measurement *m = recording->measurement;
    graph_keep(
        block_step(m->block, input_of(m, graph, recording->length), m->state, recording->position, NULL));
}

static enum status record(struct measurement *m, void (*with)(struct graph *, void *), void *argument,
                          struct error *error)
{
    graph_free(m->graph);
    m->graph = graph_create(m->pool, m->mode == MODE_TRAIN);
    graph_time_nodes(m->graph, m->scope == SCOPE_OPERATION);
    return graph_protect(m->graph, with, argument, error) ? STATUS_OK : error->status;
}

/* The input into a new state, and the step of one more token on the graph. */
static enum status record_decode(struct measurement *m, struct error *error)
{
    struct recording context = {m, m->length, 0}, token = {m, 1, m->length};
    m->state = state_create();
    enum status status = record(m, record_step, &context, error);
    if (status)
        return status;
    graph_run(m->graph);
    state_commit(m->state);
    m->state_bytes = state_bytes(m->state);
    return record(m, record_step, &token, error);
}

/* Seconds of one run of the graph. */
static double run_once(struct measurement *m)
{
    double start = clock_seconds();
    graph_run(m->graph);
    if (m->mode == MODE_DECODE)
        state_repeat(m->state);
    if (m->mode == MODE_TRAIN) {
        graph_seed(m->output, m->seed);
        graph_backward(m->graph);
    }
    double seconds = clock_seconds() - start;
    return m->scope == SCOPE_OPERATION ? graph_core_seconds(m->graph) : seconds;
}

/* ---- Opening ---- */

static enum status open_block(struct measurement *m, const struct composition *original, uint64_t seed,
                              struct error *error)
{
    struct composition composition;
    enum status status = STATUS_OK;
    composition_copy(&composition, original);
    composition_set_length(&composition, m->mode == MODE_DECODE ? m->length + 1 : m->length);
    struct block_options options = {.width = m->width, .seed = seed, .alone = m->scope == SCOPE_OPERATION};
    if (options.alone) {
        bool mixer = composition.layers[0].slots[SLOT_MIXER].kernel != NULL;
        status = composition_only(&composition, NULL, mixer ? SLOT_MIXER : SLOT_PROCEDURE, error);
    }
    if (!status)
        status = block_create(&composition, &options, &m->block, error);
    composition_release(&composition);
    return status;
}

static void count_work(struct measurement *m)
{
    struct cost cost = graph_cost(m->graph);
    bool train = m->mode == MODE_TRAIN;
    double tokens = (double)(m->batch * (m->mode == MODE_DECODE ? 1 : m->length));
    m->flops = cost.flops + (train ? cost.backward_flops : 0);
    m->bytes = cost.bytes + (train ? cost.backward_bytes : 0);
    m->parameters = parameters_size(&m->block->parameters);
    double once = (double)m->parameters + 2 * tokens * (double)m->width;
    double compulsory = (train ? 3 : 1) * once * (double)sizeof(real) + (double)m->state_bytes;
    m->compulsory_bytes = fmin(compulsory, m->bytes);
}

enum status measurement_open(struct measurement *m, const struct composition *composition, struct pool *pool,
                             uint64_t seed, struct error *error)
{
    m->pool = pool;
    enum status status = open_block(m, composition, seed, error);
    if (status)
        return status;
    int64_t size = m->batch * m->length * m->width;
    m->input = memory_allocate_aligned(64, size_multiply((size_t)size, sizeof(real)));
    random_fill_normal(seed, 1, 0, size, 0, 1, m->input);
    status = m->mode == MODE_DECODE ? record_decode(m, error) : record(m, record_parallel, m, error);
    if (status)
        return status;
    if (m->mode == MODE_TRAIN) {
        int64_t outputs = tensor_size(m->output); /* some have more tokens than the input */
        m->seed = memory_allocate_aligned(64, size_multiply((size_t)outputs, sizeof(real)));
        random_fill_normal(seed, 2, 0, outputs, 0, 1, m->seed);
    }
    size_t before = pool_used(pool);
    pool_reset_peak(pool);
    run_once(m); /* warms up */
    double seconds = run_once(m);
    m->peak_bytes = pool_peak(pool) - before;
    m->repeats = seconds < 1e-3 ? (int)(1e-3 / (seconds + 1e-7)) + 1 : 1;
    count_work(m);
    return STATUS_OK;
}

void measurement_release(struct measurement *m)
{
    graph_free(m->graph);
    state_free(m->state);
    block_free(m->block);
    free(m->input);
    free(m->seed);
    m->graph = NULL;
    m->state = NULL;
    m->block = NULL;
    m->input = m->seed = NULL;
}

void measurement_close(struct measurement *m)
{
    measurement_release(m);
    free(m->seconds);
    m->seconds = NULL;
    m->rounds = m->capacity = 0;
}

size_t measurement_bytes(const struct measurement *m)
{
    int64_t arrays = (m->mode == MODE_TRAIN ? 2 : 1) * m->batch * m->length * m->width;
    return (size_t)(m->parameters + arrays) * sizeof(real) + m->state_bytes;
}

void measurement_sample(struct measurement *m)
{
    double total = 0;
    for (int i = 0; i < m->repeats; i++)
        total += run_once(m);
    if (m->rounds == m->capacity) {
        m->capacity = m->capacity ? 2 * m->capacity : 32;
        m->seconds = memory_resize(m->seconds, m->capacity * sizeof *m->seconds);
    }
    m->seconds[m->rounds++] = total / m->repeats;
}

double measurement_median(const struct measurement *m)
{
    return statistics_median(m->seconds, m->rounds);
}

double measurement_spread(const struct measurement *m)
{
    return statistics_spread(m->seconds, m->rounds);
}

void measurement_median_range(const struct measurement *m, double *low, double *high)
{
    statistics_median_range(m->seconds, m->rounds, low, high);
}
