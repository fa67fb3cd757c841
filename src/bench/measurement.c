#include "bench/measurement.h"
#include "base/memory.h"
#include "base/suggest.h"
#include "bench/clock.h"
#include "bench/statistics.h"
#include "tensor/random.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const bench_mode_names[MODE_COUNT] = {"prefill", "decode", "train"};
const char *const bench_scope_names[SCOPE_COUNT] = {"block", "operation"};

enum status bench_mode_parse(const char *name, enum bench_mode *mode, struct error *error)
{
    for (int i = 0; i < MODE_COUNT; i++)
        if (strcmp(bench_mode_names[i], name) == 0) {
            *mode = (enum bench_mode)i;
            return STATUS_OK;
        }
    return suggest_error(error, "mode", name, bench_mode_names, MODE_COUNT);
}

/* Tokens that may be decoded behind the length: rounds times repeats of a sample. */
enum { DECODE_ROOM = 1 << 16 };

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

struct recording {
    struct measurement *measurement;
    int64_t length;
};

static void record_step(struct graph *graph, void *argument)
{
    const struct recording *recording = argument;
    struct measurement *m = recording->measurement;
    graph_keep(block_step(m->block, input_of(m, graph, recording->length), m->state, m->position, NULL));
}

/* The next `length` tokens into the state; returns the seconds that running took. */
static enum status advance(struct measurement *m, int64_t length, double *seconds, struct error *error)
{
    struct recording recording = {m, length};
    graph_free(m->graph);
    m->graph = graph_create(m->pool, false);
    graph_time_nodes(m->graph, m->scope == SCOPE_OPERATION);
    if (!graph_protect(m->graph, record_step, &recording, error))
        return error->status;
    double start = clock_seconds();
    graph_run(m->graph);
    state_commit(m->state);
    *seconds = clock_seconds() - start;
    m->position += length;
    return STATUS_OK;
}

static enum status run_parallel(struct measurement *m, double *seconds, struct error *error)
{
    double start = clock_seconds();
    graph_run(m->graph);
    if (m->mode == MODE_TRAIN) {
        graph_seed(m->output, m->seed);
        graph_backward(m->graph);
    }
    *seconds = clock_seconds() - start;
    (void)error;
    return STATUS_OK;
}

static enum status run_once(struct measurement *m, double *seconds, struct error *error)
{
    enum status status =
        m->mode == MODE_DECODE ? advance(m, 1, seconds, error) : run_parallel(m, seconds, error);
    if (!status && m->scope == SCOPE_OPERATION)
        *seconds = graph_core_seconds(m->graph);
    return status;
}

/* ---- Opening ---- */

/* The longest input that a kernel with weights by position must take. */
static void raise_length(struct composition *composition, int64_t length)
{
    char text[32];
    struct error ignored = ERROR_INIT;
    snprintf(text, sizeof text, "%lld", (long long)length);
    composition_set(composition, "length", text, &ignored);
}

static enum status open_block(struct measurement *m, const struct composition *original, uint64_t seed,
                              struct error *error)
{
    struct composition composition;
    enum status status = STATUS_OK;
    composition_copy(&composition, original);
    raise_length(&composition, m->mode == MODE_DECODE ? m->length + DECODE_ROOM : m->length);
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
    m->compulsory_bytes = (train ? 3 : 1) * once * (double)sizeof(real) + (double)m->state_bytes;
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
    double seconds;
    if (m->mode == MODE_DECODE) {
        m->state = state_create();
        status = advance(m, m->length, &seconds, error);
        m->state_bytes = state_bytes(m->state);
    } else {
        m->graph = graph_create(pool, m->mode == MODE_TRAIN);
        graph_time_nodes(m->graph, m->scope == SCOPE_OPERATION);
        if (!graph_protect(m->graph, record_parallel, m, error))
            return error->status;
        if (m->mode == MODE_TRAIN) {
            m->seed = memory_allocate_aligned(64, size_multiply((size_t)size, sizeof(real)));
            random_fill_normal(seed, 2, 0, size, 0, 1, m->seed);
        }
    }
    size_t before = pool_used(pool);
    pool_reset_peak(pool);
    for (int i = 0; i < 2 && !status; i++) /* the first warms up, the second tells how long one run takes */
        status = run_once(m, &seconds, error);
    m->peak_bytes = pool_peak(pool) - before;
    m->repeats = seconds < 1e-3 ? (int)(1e-3 / (seconds + 1e-7)) + 1 : 1;
    if (!status)
        count_work(m);
    return status;
}

void measurement_close(struct measurement *m)
{
    graph_free(m->graph);
    state_free(m->state);
    block_free(m->block);
    free(m->input);
    free(m->seed);
    free(m->seconds);
    m->graph = NULL;
    m->state = NULL;
    m->block = NULL;
    m->input = m->seed = NULL;
    m->seconds = NULL;
    m->rounds = m->capacity = 0;
}

enum status measurement_sample(struct measurement *m, struct error *error)
{
    double total = 0, seconds;
    for (int i = 0; i < m->repeats; i++) {
        enum status status = run_once(m, &seconds, error);
        if (status)
            return status;
        total += seconds;
    }
    if (m->rounds == m->capacity) {
        m->capacity = m->capacity ? 2 * m->capacity : 32;
        m->seconds = memory_resize(m->seconds, m->capacity * sizeof *m->seconds);
    }
    m->seconds[m->rounds++] = total / m->repeats;
    return STATUS_OK;
}

double measurement_median(const struct measurement *m)
{
    return statistics_median(m->seconds, m->rounds);
}

double measurement_spread(const struct measurement *m)
{
    return statistics_spread(m->seconds, m->rounds);
}
