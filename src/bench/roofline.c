#include "bench/roofline.h"
#include "base/memory.h"
#include "bench/clock.h"
#include "tensor/tensor.h"
#include <stdlib.h>
#include <string.h>

enum {
    SIZE = 1024,                    /* of the product */
    COPY_BYTES = 256 * 1024 * 1024, /* each way, far above any last-level cache's share */
    CHUNK = 1024 * 1024,
    REPEATS = 5
};

static void record_product(struct graph *graph, void *argument)
{
    real **operands = argument;
    tensor *a = tensor_leaf(graph, operands[0], 2, SHAPE(SIZE, SIZE), false);
    tensor *b = tensor_leaf(graph, operands[1], 2, SHAPE(SIZE, SIZE), false);
    graph_keep(tensor_matmul(a, b));
}

static double product_rate(void)
{
    real *operands[2];
    for (int i = 0; i < 2; i++) {
        operands[i] = memory_allocate_aligned(64, sizeof(real) * SIZE * SIZE);
        for (int j = 0; j < SIZE * SIZE; j++)
            operands[i][j] = (real)((j * 7 + i) % 13) / 13;
    }
    struct pool *pool = pool_create();
    struct graph *graph = graph_create(pool, false);
    struct error error = ERROR_INIT;
    double best = 0;
    if (!graph_protect(graph, record_product, operands, &error))
        BUG("%s", error.message);
    for (int i = 0; i < REPEATS; i++) {
        double start = clock_seconds();
        graph_run(graph);
        double rate = 2.0 * SIZE * SIZE * SIZE / (clock_seconds() - start) / 1e9;
        best = rate > best ? rate : best;
    }
    graph_free(graph);
    pool_free(pool);
    free(operands[0]);
    free(operands[1]);
    return best;
}

static double copy_rate(void)
{
    char *from = memory_allocate_aligned(64, COPY_BYTES), *to = memory_allocate_aligned(64, COPY_BYTES);
    memset(from, 1, COPY_BYTES);
    memset(to, 2, COPY_BYTES);
    double best = 0;
    for (int i = 0; i < REPEATS; i++) {
        double start = clock_seconds();
#pragma omp parallel for num_threads(tensor_threads()) schedule(static)
        for (int chunk = 0; chunk < COPY_BYTES / CHUNK; chunk++)
            memcpy(to + (size_t)chunk * CHUNK, from + (size_t)chunk * CHUNK, CHUNK);
        double rate = 2.0 * COPY_BYTES / (clock_seconds() - start) / 1e9;
        best = rate > best ? rate : best;
    }
    free(from);
    free(to);
    return best;
}

void roofline_measure(struct roofline *roofline)
{
    double gflops = product_rate(), gbytes = copy_rate();
    roofline->gflops = gflops > roofline->gflops ? gflops : roofline->gflops;
    roofline->gbytes_per_s = gbytes > roofline->gbytes_per_s ? gbytes : roofline->gbytes_per_s;
}

double roofline_seconds(const struct roofline *roofline, double flops, double bytes)
{
    double compute = flops / (roofline->gflops * 1e9), traffic = bytes / (roofline->gbytes_per_s * 1e9);
    return compute > traffic ? compute : traffic;
}
