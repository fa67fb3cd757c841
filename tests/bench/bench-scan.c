/* Microseconds a token of the recurrences, one sequence, buffers warm:
 *     bench-scan [threads [part of a name]]
 * Medians and best of rounds that go through all cases in turn, forward and backward. */
#include "base/memory.h"
#include "tensor/tensor.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 11, MAX_LEAVES = 8 };

enum decay { NONE, FIXED, SCALAR, CHANNEL };

struct bench_case {
    const char *name;
    tensor *(*build)(struct graph *graph, const struct bench_case *c);
    int64_t T, H, G, d, e; /* of a matrix scan; else H channels with d states */
    enum decay decay;
    bool beta, bonus, step; /* step: from a state to the next */
};

struct subject {
    const struct bench_case *c;
    struct pool *pool;
    struct graph *graph;
    tensor *y;
    real *leaves[MAX_LEAVES], *seed;
    int leaf_count;
    double forward[ROUNDS], backward[ROUNDS];
};

static struct subject *recording;

/* A leaf of noise between two bounds. */
static tensor *input(struct graph *graph, double low, double high, int rank, const int64_t *shape)
{
    int64_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= shape[i];
    real *values = memory_allocate_aligned(64, (size_t)count * sizeof *values);
    uint32_t state = 1;
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525 + 1013904223;
        values[i] = (real)(low + (high - low) * (double)state * 0x1p-32);
    }
    recording->leaves[recording->leaf_count++] = values;
    return tensor_leaf(graph, values, rank, shape, !recording->c->step);
}

static tensor *matrix_scan(struct graph *graph, const struct bench_case *c)
{
    double bound = 1.5 / __builtin_sqrt((double)c->d);
    struct matrix_scan_options options = {.scale = bound};
    tensor *final, *q = input(graph, -1, 1, 4, SHAPE(1, c->T, c->G, c->d));
    tensor *k = input(graph, -bound, bound, 4, SHAPE(1, c->T, c->G, c->d));
    tensor *v = input(graph, -1, 1, 4, SHAPE(1, c->T, c->H, c->e));
    if (c->decay == FIXED)
        options.log_decay = input(graph, -0.1, -0.01, 1, SHAPE(c->H));
    else if (c->decay == SCALAR)
        options.log_decay = input(graph, -0.1, -0.01, 3, SHAPE(1, c->T, c->H));
    else if (c->decay == CHANNEL)
        options.log_decay = input(graph, -0.1, -0.01, 4, SHAPE(1, c->T, c->H, c->d));
    if (c->beta)
        options.beta = input(graph, 0.1, 0.9, 3, SHAPE(1, c->T, c->H));
    if (c->bonus)
        options.bonus = input(graph, -1, 1, 2, SHAPE(c->H, c->d));
    if (c->step) {
        options.initial = input(graph, -1, 1, 4, SHAPE(1, c->H, c->d, c->e));
        options.final = &final;
    }
    tensor *y = tensor_matrix_scan(q, k, v, &options);
    if (c->step)
        graph_keep(final);
    return y;
}

/* H channels; factors of each step and channel, or one a channel. */
static tensor *scan(struct graph *graph, const struct bench_case *c)
{
    tensor *b = input(graph, -1, 1, 3, SHAPE(1, c->T, c->H));
    tensor *a = c->decay == FIXED ? input(graph, 0.8, 0.99, 1, SHAPE(c->H))
                                  : input(graph, 0.8, 0.99, 3, SHAPE(1, c->T, c->H));
    return tensor_scan(a, b, NULL, NULL);
}

static tensor *scan_complex(struct graph *graph, const struct bench_case *c)
{
    tensor *b = input(graph, -1, 1, 4, SHAPE(1, c->T, c->H, 2));
    tensor *a = c->decay == FIXED ? input(graph, 0.1, 0.7, 2, SHAPE(c->H, 2))
                                  : input(graph, 0.1, 0.7, 4, SHAPE(1, c->T, c->H, 2));
    return tensor_scan_complex(a, b, NULL, NULL);
}

static tensor *selective_scan(struct graph *graph, const struct bench_case *c)
{
    tensor *x = input(graph, -1, 1, 3, SHAPE(1, c->T, c->H)),
           *delta = input(graph, 0.001, 0.1, 3, SHAPE(1, c->T, c->H));
    tensor *A = input(graph, -16, -1, 2, SHAPE(c->H, c->d));
    tensor *B = input(graph, -1, 1, 3, SHAPE(1, c->T, c->d)),
           *C = input(graph, -1, 1, 3, SHAPE(1, c->T, c->d));
    tensor *initial = c->step ? input(graph, -1, 1, 3, SHAPE(1, c->H, c->d)) : NULL, *final;
    tensor *y = tensor_selective_scan(x, delta, A, B, C, initial, &final);
    if (c->step)
        graph_keep(final);
    return y;
}

static tensor *convolution(struct graph *graph, const struct bench_case *c)
{
    return tensor_causal_convolution(input(graph, -1, 1, 3, SHAPE(1, c->T, c->H)),
                                     input(graph, -1, 1, 2, SHAPE(c->H, c->d)),
                                     input(graph, -1, 1, 1, SHAPE(c->H)), NULL);
}

#define HEADS .H = 8, .G = 8, .d = 64, .e = 64
static const struct bench_case cases[] = {
    {"linear, T 512", matrix_scan, .T = 512, HEADS},
    {"linear, T 2048", matrix_scan, .T = 2048, HEADS},
    {"linear, T 8192", matrix_scan, .T = 8192, HEADS},
    {"retention, T 2048", matrix_scan, .T = 2048, HEADS, .decay = FIXED},
    {"scalar gate, T 2048", matrix_scan, .T = 2048, HEADS, .decay = SCALAR},
    {"gated linear, T 512", matrix_scan, .T = 512, HEADS, .decay = CHANNEL},
    {"gated linear, T 2048", matrix_scan, .T = 2048, HEADS, .decay = CHANNEL},
    {"gated linear, T 8192", matrix_scan, .T = 8192, HEADS, .decay = CHANNEL},
    {"gated linear with bonus, T 2048", matrix_scan, .T = 2048, HEADS, .decay = CHANNEL, .bonus = true},
    {"delta, T 2048", matrix_scan, .T = 2048, HEADS, .beta = true},
    {"gated delta, T 512", matrix_scan, .T = 512, HEADS, .decay = SCALAR, .beta = true},
    {"gated delta, T 2048", matrix_scan, .T = 2048, HEADS, .decay = SCALAR, .beta = true},
    {"gated delta, T 8192", matrix_scan, .T = 8192, HEADS, .decay = SCALAR, .beta = true},
    {"gated delta per key, T 2048", matrix_scan, .T = 2048, HEADS, .decay = CHANNEL, .beta = true},
    {"state space dual, T 512", matrix_scan, .T = 512, .H = 8, .G = 1, .d = 128, .e = 64, .decay = SCALAR},
    {"state space dual, T 2048", matrix_scan, .T = 2048, .H = 8, .G = 1, .d = 128, .e = 64, .decay = SCALAR},
    {"state space dual, T 8192", matrix_scan, .T = 8192, .H = 8, .G = 1, .d = 128, .e = 64, .decay = SCALAR},
    {"linear, 4 heads of 128, T 2048", matrix_scan, .T = 2048, .H = 4, .G = 4, .d = 128, .e = 128},
    {"linear, 2 heads of 256, T 2048", matrix_scan, .T = 2048, .H = 2, .G = 2, .d = 256, .e = 256},
    {"scan of 512, T 512", scan, .T = 512, .H = 512},
    {"scan of 512, T 8192", scan, .T = 8192, .H = 512},
    {"scan of 512, fixed factors, T 512", scan, .T = 512, .H = 512, .decay = FIXED},
    {"scan of 512, fixed factors, T 8192", scan, .T = 8192, .H = 512, .decay = FIXED},
    {"complex scan of 512, T 512", scan_complex, .T = 512, .H = 512},
    {"complex scan of 512, fixed, T 512", scan_complex, .T = 512, .H = 512, .decay = FIXED},
    {"complex scan of 512, fixed, T 8192", scan_complex, .T = 8192, .H = 512, .decay = FIXED},
    {"selective scan of 1024 x 16, T 512", selective_scan, .T = 512, .H = 1024, .d = 16},
    {"selective scan of 1024 x 16, T 8192", selective_scan, .T = 8192, .H = 1024, .d = 16},
    {"selective scan of 1024 x 16, step", selective_scan, .T = 1, .H = 1024, .d = 16, .step = true},
    {"convolution of 1024, 4 taps, T 512", convolution, .T = 512, .H = 1024, .d = 4},
    {"convolution of 1024, 4 taps, T 8192", convolution, .T = 8192, .H = 1024, .d = 4},
    {"convolution of 1024, 31 taps, T 512", convolution, .T = 512, .H = 1024, .d = 31},
    {"linear, step", matrix_scan, .T = 1, HEADS, .step = true},
    {"gated linear, step", matrix_scan, .T = 1, HEADS, .decay = CHANNEL, .step = true},
    {"gated delta, step", matrix_scan, .T = 1, HEADS, .decay = SCALAR, .beta = true, .step = true},
    {"state space dual, step", matrix_scan, .T = 1, .H = 8, .G = 1, .d = 128, .e = 64, .decay = SCALAR,
     .step = true},
};
enum { CASES = sizeof cases / sizeof *cases };

static void record(struct graph *graph, void *argument)
{
    struct subject *s = argument;
    recording = s;
    s->y = graph_keep(s->c->build(graph, s->c));
}

static void subject_init(struct subject *s, const struct bench_case *c)
{
    struct error error = ERROR_INIT;
    *s = (struct subject){.c = c};
    s->pool = pool_create();
    s->graph = graph_create(s->pool, !c->step);
    if (!graph_protect(s->graph, record, s, &error)) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    int64_t size = tensor_size(s->y);
    s->seed = memory_allocate((size_t)size * sizeof(real));
    for (int64_t i = 0; i < size; i++)
        s->seed[i] = (real)(i % 7 - 3);
}

static void subject_release(struct subject *s)
{
    graph_free(s->graph);
    pool_free(s->pool);
    for (int i = 0; i < s->leaf_count; i++)
        free(s->leaves[i]);
    free(s->seed);
}

/* With one thread, its own time, which other programs on the machine disturb less. */
static double now(void)
{
    struct timespec time;
    clock_gettime(tensor_threads() == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC_RAW, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void time_round(struct subject *s, int round)
{
    int repeats = s->c->step ? 100 : 1;
    double start = now();
    for (int i = 0; i < repeats; i++)
        graph_run(s->graph);
    s->forward[round] = (now() - start) / repeats;
    if (s->c->step)
        return;
    graph_seed(s->y, s->seed);
    start = now();
    graph_backward(s->graph);
    s->backward[round] = now() - start;
}

int main(int argc, char **argv)
{
    static struct subject subjects[CASES];
    int chosen[CASES], count = 0;
    tensor_set_threads(argc > 1 ? atoi(argv[1]) : 1);
    for (int i = 0; i < CASES; i++)
        if (argc < 3 || strstr(cases[i].name, argv[2]))
            subject_init(&subjects[chosen[count++] = i], &cases[i]);
    for (int round = -1; round < ROUNDS; round++) /* the first one warms up */
        for (int i = 0; i < count; i++)
            time_round(&subjects[chosen[i]], round < 0 ? 0 : round);
    printf("us per token, %d threads\n%-34s%9s%9s%9s%10s%9s\n", tensor_threads(), "", "forward", "best",
           "GFLOP/s", "backward", "best");
    for (int i = 0; i < count; i++) {
        struct subject *s = &subjects[chosen[i]];
        qsort(s->forward, ROUNDS, sizeof(double), compare);
        qsort(s->backward, ROUNDS, sizeof(double), compare);
        double scale = 1e6 / (double)s->c->T;
        printf("%-34s%9.2f%9.2f%9.1f%10.2f%9.2f\n", s->c->name, s->forward[ROUNDS / 2] * scale,
               s->forward[0] * scale, graph_cost(s->graph).flops / s->forward[0] * 1e-9,
               s->backward[ROUNDS / 2] * scale, s->backward[0] * scale);
        subject_release(s);
    }
    return 0;
}
