/* Microseconds a token of softmax attention, 512 channels of one sequence, causal:
 *     bench-attention [threads]
 * Medians over rounds that go through all cases in turn. Prefill is timed with warm buffers; decoding (one
 * query) walks through copies of its keys and values that no cache holds, beside a large copy timed in the
 * same rounds. */
#include "base/memory.h"
#include "tensor/tensor.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CHANNELS = 512, ROUNDS = 9, COPIES = 16, COPY_BYTES = 128 << 20 };

struct bench_case {
    const char *name;
    int64_t queries, keys, key_heads, width;
    struct attention_options options;
};

static const struct bench_case cases[] = {
    {"T 512", 512, 512, 8, 64, {0}},
    {"T 2048", 2048, 2048, 8, 64, {0}},
    {"T 8192", 8192, 8192, 8, 64, {0}},
    {"T 2048, d 128", 2048, 2048, 4, 128, {0}},
    {"T 2048, d 32", 2048, 2048, 16, 32, {0}},
    {"T 2048, 2 key heads", 2048, 2048, 2, 64, {0}},
    {"T 8192, window 256", 8192, 8192, 8, 64, {.window = 256}},
    {"T 8192, window 256, 4 sinks", 8192, 8192, 8, 64, {.window = 256, .sinks = 4}},
    {"T 8192, blocks of 256 and 1 before", 8192, 8192, 8, 64, {.block = 256, .look_backward = 1}},
    {"T 64 after 2048 keys", 64, 2112, 8, 64, {0}},
    {"T 8 after 2048 keys", 8, 2056, 8, 64, {0}},
    {"T 1 after 2048 keys", 1, 2048, 8, 64, {0}},
    {"T 1 after 16384 keys", 1, 16384, 8, 64, {0}},
    {"T 1 after 2048 keys, 2 key heads", 1, 2048, 2, 64, {0}},
    {"T 1 after 16384 keys, window 256", 1, 16384, 8, 64, {.window = 256}},
};
enum { CASES = sizeof cases / sizeof *cases };

struct subject {
    const struct bench_case *c;
    struct pool *pool;
    struct graph *graph;
    tensor *q, *k, *v, *y;
    real *queries, *keys, *values, *seed;
    int copies;
    double forward[ROUNDS], backward[ROUNDS];
};

static real *noise(int64_t count)
{
    real *values = memory_allocate_aligned(64, (size_t)count * sizeof *values);
    uint32_t state = 1;
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525 + 1013904223;
        values[i] = (real)state / (real)0x1p31 - 1;
    }
    return values;
}

static void record(struct graph *graph, void *argument)
{
    struct subject *s = argument;
    const struct bench_case *c = s->c;
    bool gradients = s->copies == 1;
    struct attention_options options = c->options;
    options.causal = true;
    options.offset = c->keys - c->queries;
    s->q = tensor_leaf(graph, s->queries, 4, SHAPE(1, c->queries, CHANNELS / c->width, c->width), gradients);
    s->k = tensor_leaf(graph, s->keys, 4, SHAPE(1, c->keys, c->key_heads, c->width), gradients);
    s->v = tensor_leaf(graph, s->values, 4, SHAPE(1, c->keys, c->key_heads, c->width), gradients);
    s->y = graph_keep(tensor_attention(s->q, s->k, s->v, &options));
}

static void subject_init(struct subject *s, const struct bench_case *c)
{
    struct error error = ERROR_INIT;
    *s = (struct subject){.c = c, .copies = c->queries == 1 ? COPIES : 1};
    s->queries = noise(c->queries * CHANNELS);
    s->keys = noise(c->keys * c->key_heads * c->width * s->copies);
    s->values = noise(c->keys * c->key_heads * c->width * s->copies);
    s->seed = noise(c->queries * CHANNELS);
    s->pool = pool_create();
    s->graph = graph_create(s->pool, s->copies == 1);
    if (!graph_protect(s->graph, record, s, &error)) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
}

static void subject_release(struct subject *s)
{
    graph_free(s->graph);
    pool_free(s->pool);
    free(s->queries);
    free(s->keys);
    free(s->values);
    free(s->seed);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC_RAW, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void time_prefill(struct subject *s, int round)
{
    double start = now();
    graph_run(s->graph);
    double middle = now();
    graph_seed(s->y, s->seed);
    double seeded = now();
    graph_backward(s->graph);
    s->forward[round] = middle - start;
    s->backward[round] = now() - seeded;
}

/* The median over the copies, each read once a round. */
static void time_decoding(struct subject *s, int round)
{
    double times[COPIES];
    int64_t size = s->c->keys * s->c->key_heads * s->c->width;
    for (int i = 0; i < COPIES; i++) {
        s->k->data = s->keys + i * size;
        s->v->data = s->values + i * size;
        double start = now();
        graph_run(s->graph);
        times[i] = now() - start;
    }
    qsort(times, COPIES, sizeof *times, compare);
    s->forward[round] = times[COPIES / 2];
}

static double time_copy(char *to, const char *from)
{
    double start = now();
    memcpy(to, from, COPY_BYTES);
    return now() - start;
}

static void print_case(struct subject *s, double bandwidth)
{
    const struct bench_case *c = s->c;
    qsort(s->forward, ROUNDS, sizeof(double), compare);
    qsort(s->backward, ROUNDS, sizeof(double), compare);
    double forward = s->forward[ROUNDS / 2], backward = s->backward[ROUNDS / 2];
    printf("%-36s%9.2f%9.2f", c->name, forward / (double)c->queries * 1e6,
           s->forward[0] / (double)c->queries * 1e6);
    if (s->copies == 1) {
        printf("%9.1f%11.2f%8.2f\n", graph_cost(s->graph).flops / forward * 1e-9,
               backward / (double)c->queries * 1e6, backward / forward);
        return;
    }
    int64_t seen = c->options.window ? c->options.window : c->keys;
    double rate = 2.0 * (double)(seen * c->key_heads * c->width) * sizeof(real) / forward;
    printf("  %.1f GB/s, %.0f %% of a large copy\n", rate * 1e-9, 100 * rate / bandwidth);
}

int main(int argc, char **argv)
{
    static struct subject subjects[CASES];
    double copies[ROUNDS];
    char *from = memory_allocate(COPY_BYTES), *to = memory_allocate(COPY_BYTES);
    memset(from, 1, COPY_BYTES);
    memset(to, 1, COPY_BYTES);
    tensor_set_threads(argc > 1 ? atoi(argv[1]) : 1);
    for (int i = 0; i < CASES; i++)
        subject_init(&subjects[i], &cases[i]);
    for (int round = -1; round < ROUNDS; round++) { /* the first one warms up */
        int place = round < 0 ? 0 : round;
        copies[place] = time_copy(to, from);
        for (int i = 0; i < CASES; i++)
            (subjects[i].copies == 1 ? time_prefill : time_decoding)(&subjects[i], place);
    }
    qsort(copies, ROUNDS, sizeof *copies, compare);
    double bandwidth = 2.0 * COPY_BYTES / copies[ROUNDS / 2];
    printf("us per token, %d threads; a large copy moves %.1f GB/s\n%-36s%9s%9s%9s%11s%8s\n",
           tensor_threads(), bandwidth * 1e-9, "", "forward", "best", "GFLOP/s", "backward", "ratio");
    for (int i = 0; i < CASES; i++) {
        print_case(&subjects[i], bandwidth);
        subject_release(&subjects[i]);
    }
    free(from);
    free(to);
    return 0;
}
