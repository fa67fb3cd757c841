/* Microseconds a token of the long convolution, and of the transforms, for C = 256 channels of one sequence:
 *     bench-long-convolution [threads]
 * Medians over rounds that go through all lengths in turn; buffers stay warm from round to round. */
#include "tensor/tensor.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CHANNELS = 256, ROUNDS = 9, CASES = 9, MEASURES = 4 };

static const int64_t lengths[CASES] = {64, 256, 512, 1024, 2048, 4096, 8192, 16384, 16381};

struct subject {
    struct pool *pool;
    struct graph *graph;
    int64_t length;
    bool transform_only, gradients;
    real *x, *kernel, *seed;
    tensor *y;
};

static void record(struct graph *graph, void *argument)
{
    struct subject *s = argument;
    tensor *x = tensor_leaf(graph, s->x, 3, SHAPE(1, s->length, CHANNELS), true);
    if (s->transform_only) {
        s->y = graph_keep(tensor_fourier(x, 1));
    } else {
        tensor *kernel = tensor_leaf(graph, s->kernel, 2, SHAPE(CHANNELS, s->length), true);
        s->y = graph_keep(tensor_long_convolution(x, kernel, false));
    }
}

static real *noise(int64_t count)
{
    real *values = malloc((size_t)count * sizeof *values);
    uint32_t state = 1;
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525 + 1013904223;
        values[i] = (real)state / (real)0x1p31 - 1;
    }
    return values;
}

static struct subject subject_create(int64_t length, bool transform_only, bool gradients)
{
    struct subject s = {pool_create(), NULL, length, transform_only, gradients};
    struct error error = ERROR_INIT;
    s.x = noise(length * CHANNELS);
    s.kernel = noise(length * CHANNELS);
    s.seed = noise((length + 2) * CHANNELS);
    s.graph = graph_create(s.pool, gradients);
    if (!graph_protect(s.graph, record, &s, &error)) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    return s;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC_RAW, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static double seconds(struct subject *s)
{
    double start = now();
    graph_run(s->graph);
    if (s->gradients) {
        graph_seed(s->y, s->seed);
        graph_backward(s->graph);
    }
    return now() - start;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static struct subject subjects[CASES][MEASURES];
    static double times[CASES][MEASURES][ROUNDS];
    tensor_set_threads(argc > 1 ? atoi(argv[1]) : 1);
    for (int c = 0; c < CASES; c++)
        for (int m = 0; m < MEASURES; m++)
            subjects[c][m] = subject_create(lengths[c], m >= 2, m % 2);
    for (int round = -1; round < ROUNDS; round++) /* the first one warms up */
        for (int c = 0; c < CASES; c++)
            for (int m = 0; m < MEASURES; m++)
                times[c][m][round < 0 ? 0 : round] = seconds(&subjects[c][m]);
    printf("us per token, %d threads\n%8s%14s%14s%14s%14s\n", tensor_threads(), "T", "convolution",
           "and backward", "fourier", "and backward");
    for (int c = 0; c < CASES; c++) {
        printf("%8lld", (long long)lengths[c]);
        for (int m = 0; m < MEASURES; m++) {
            qsort(times[c][m], ROUNDS, sizeof(double), compare);
            printf("%14.2f", times[c][m][ROUNDS / 2] / (double)lengths[c] * 1e6);
        }
        printf("\n");
    }
    for (int c = 0; c < CASES; c++)
        for (int m = 0; m < MEASURES; m++) {
            struct subject *s = &subjects[c][m];
            graph_free(s->graph);
            pool_free(s->pool);
            free(s->x);
            free(s->kernel);
            free(s->seed);
        }
    return 0;
}
