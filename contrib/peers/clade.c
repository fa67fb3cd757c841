/* clade's own primitives, recorded once and run as often as asked. */
#include "base/memory.h"
#include "bench/clock.h"
#include "peer.h"
#include "tensor/tensor.h"
#include <stdlib.h>
#include <string.h>

struct prepared {
    const struct problem *problem;
    struct pool *pool;
    struct graph *graph;
    tensor *y;
};

static enum status open_clade(const char *modules, int threads, struct error *error)
{
    tensor_set_threads(threads);
    return STATUS_OK;
}

static const char *version(void)
{
    return CLADE_VERSION;
}

static bool has(enum peer_operation operation)
{
    return true;
}

static tensor *scan(struct graph *graph, const struct problem *p, tensor *q, tensor *k, tensor *v)
{
    int64_t T = p->length, H = p->heads, d = p->width;
    tensor *final;
    struct matrix_scan_options options = {.scale = p->scale, .final = &final};
    if (p->operation == GATED_LINEAR_ATTENTION)
        options.log_decay = tensor_leaf(graph, p->log_decay, 4, SHAPE(1, T, H, d), false);
    if (p->operation == GATED_DELTA_RULE)
        options.log_decay = tensor_leaf(graph, p->log_decay, 3, SHAPE(1, T, H), false);
    if (p->beta)
        options.beta = tensor_leaf(graph, p->beta, 3, SHAPE(1, T, H), false);
    if (p->operation == STATE_SPACE_DUAL) {
        tensor *step = tensor_softplus(tensor_leaf(graph, p->delta, 3, SHAPE(1, T, H), false));
        options.log_decay = tensor_multiply(step, tensor_leaf(graph, p->rate, 1, SHAPE(H), false));
        options.strength = step;
    }
    tensor *y = tensor_matrix_scan(q, k, v, &options);
    graph_keep(final);
    return y;
}

static void record(struct graph *graph, void *argument)
{
    struct prepared *s = argument;
    const struct problem *p = s->problem;
    tensor *q = tensor_leaf(graph, p->query, 4, SHAPE(1, p->length, p->key_heads, p->width), false);
    tensor *k = tensor_leaf(graph, p->key, 4, SHAPE(1, p->length, p->key_heads, p->width), false);
    tensor *v = tensor_leaf(graph, p->value, 4, SHAPE(1, p->length, p->heads, p->value_width), false);
    struct attention_options causal = {.scale = p->scale, .causal = true};
    s->y = graph_keep(p->operation == CAUSAL_ATTENTION ? tensor_attention(q, k, v, &causal)
                                                       : scan(graph, p, q, k, v));
}

static void release(void *prepared)
{
    struct prepared *s = prepared;
    graph_free(s->graph);
    pool_free(s->pool);
    free(s);
}

static void *prepare(const struct problem *problem, struct error *error)
{
    struct prepared *s = memory_allocate_zero(1, sizeof *s);
    s->problem = problem;
    s->pool = pool_create();
    s->graph = graph_create(s->pool, false);
    if (!graph_protect(s->graph, record, s, error)) {
        release(s);
        return NULL;
    }
    return s;
}

static enum status run(void *prepared, double *seconds, struct error *error)
{
    struct prepared *s = prepared;
    double start = clock_seconds();
    graph_run(s->graph);
    *seconds = clock_seconds() - start;
    return STATUS_OK;
}

static enum status result(void *prepared, float *values, struct error *error)
{
    struct prepared *s = prepared;
    memcpy(values, s->y->data, (size_t)problem_result_size(s->problem) * sizeof *values);
    return STATUS_OK;
}

static void close_clade(void)
{
}

const struct peer clade_peer = {"clade", open_clade, version, has,        prepare,
                                run,     result,     release, close_clade};
