#include "problem.h"
#include "base/memory.h"
#include "tensor/random.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HEADS = 8, HEAD_WIDTH = 64, STATES = 128, ALIGNMENT = 64 };

static const char *const names[OPERATIONS] = {
    [CAUSAL_ATTENTION] = "causal-attention",
    [LINEAR_ATTENTION] = "linear-attention",
    [GATED_LINEAR_ATTENTION] = "gated-linear-attention",
    [DELTA_RULE] = "delta-rule",
    [GATED_DELTA_RULE] = "gated-delta-rule",
    [STATE_SPACE_DUAL] = "state-space-dual",
};

const char *operation_name(enum peer_operation operation)
{
    return names[operation];
}

enum peer_operation operation_from_name(const char *name)
{
    int i = 0;
    while (i < OPERATIONS && strcmp(names[i], name) != 0)
        i++;
    return (enum peer_operation)i;
}

int64_t problem_query_size(const struct problem *p)
{
    return p->length * p->key_heads * p->width;
}

int64_t problem_result_size(const struct problem *p)
{
    return p->length * p->heads * p->value_width;
}

int64_t problem_decay_size(const struct problem *p)
{
    int64_t gates = p->length * p->heads;
    return p->operation == GATED_LINEAR_ATTENTION ? gates * p->width
           : p->operation == GATED_DELTA_RULE     ? gates
                                                  : 0;
}

static float *normal(uint64_t stream, int64_t count, double deviation)
{
    float *values = memory_allocate_aligned(ALIGNMENT, (size_t)count * sizeof *values);
    random_fill_normal(1, stream, 0, count, 0, deviation, values);
    return values;
}

static float *uniform(uint64_t stream, int64_t count, double low, double high)
{
    float *values = memory_allocate_aligned(ALIGNMENT, (size_t)count * sizeof *values);
    random_fill_uniform(1, stream, 0, count, low, high, values);
    return values;
}

/* The logarithm of sigmoid(x)^(1/16), the gate of gated linear attention. */
static float *gates(uint64_t stream, int64_t count)
{
    float *values = normal(stream, count, 1);
    for (int64_t i = 0; i < count; i++)
        values[i] = -log1pf(expf(-values[i])) / 16;
    return values;
}

static void normalize_rows(float *values, int64_t rows, int64_t width)
{
    for (int64_t row = 0; row < rows; row++, values += width) {
        float sum = 0;
        for (int64_t i = 0; i < width; i++)
            sum += values[i] * values[i];
        for (int64_t i = 0; i < width; i++)
            values[i] /= sqrtf(sum);
    }
}

struct problem *problem_create(enum peer_operation operation, int64_t length)
{
    bool dual = operation == STATE_SPACE_DUAL;
    struct problem *p = memory_allocate_zero(1, sizeof *p);
    *p = (struct problem){.operation = operation,
                          .length = length,
                          .heads = HEADS,
                          .key_heads = dual ? 1 : HEADS,
                          .width = dual ? STATES : HEAD_WIDTH,
                          .value_width = HEAD_WIDTH,
                          .scale = dual ? 1 : 1 / sqrt(HEAD_WIDTH)};
    p->query = normal(1, problem_query_size(p), 1);
    p->key = normal(2, problem_query_size(p), 1);
    p->value = normal(3, problem_result_size(p), 1);
    if (problem_decay_size(p))
        p->log_decay = gates(4, problem_decay_size(p));
    if (operation == DELTA_RULE || operation == GATED_DELTA_RULE) {
        p->beta = uniform(5, length * HEADS, 0.1, 0.9);
        normalize_rows(p->query, length * p->key_heads, p->width);
        normalize_rows(p->key, length * p->key_heads, p->width);
    }
    if (dual) {
        p->delta = uniform(6, length * HEADS, -5, -1);
        p->rate = uniform(7, HEADS, -8, -1);
    }
    return p;
}

void problem_free(struct problem *p)
{
    free(p->query);
    free(p->key);
    free(p->value);
    free(p->log_decay);
    free(p->beta);
    free(p->delta);
    free(p->rate);
    free(p);
}
