#include "gradient.h"
#include "tensor/random.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct sizes {
    int64_t batch, length, channels, taps;
    bool batched; /* a kernel for each sequence */
    bool circular;
    bool alike;    /* one kernel for all channels */
    int64_t ahead; /* taps of later inputs */
};

static int64_t kernel_count(const struct sizes *s)
{
    return s->batched ? s->batch : 1;
}

static int64_t kernel_channels(const struct sizes *s)
{
    return s->alike ? 1 : s->channels;
}

static tensor *convolve(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct sizes *s = argument;
    return s->ahead ? tensor_two_sided_convolution(leaves[0], leaves[1], s->ahead)
                    : tensor_long_convolution(leaves[0], leaves[1], s->circular);
}

static void leaves_for(const struct sizes *s, struct gradient_leaf *leaves)
{
    leaves[0] = (struct gradient_leaf)LEAF(3, s->batch, s->length, s->channels);
    leaves[1] = s->batched ? (struct gradient_leaf)LEAF(3, s->batch, kernel_channels(s), s->taps)
                           : (struct gradient_leaf)LEAF(2, kernel_channels(s), s->taps);
}

/* A graph of one convolution of row-major leaves, its result and its gradients. */
struct run {
    struct pool *pool;
    struct graph *graph;
    const struct sizes *sizes;
    real *data[2];
    bool wanted[2]; /* gradients of x and of the kernel */
    tensor *leaves[2], *y;
};

static void record(struct graph *graph, void *argument)
{
    struct run *run = argument;
    const struct sizes *s = run->sizes;
    struct gradient_leaf leaves[2];
    leaves_for(s, leaves);
    for (int i = 0; i < 2; i++)
        run->leaves[i] = tensor_leaf(graph, run->data[i], leaves[i].rank, leaves[i].shape, run->wanted[i]);
    run->y = graph_keep(convolve(graph, run->leaves, s));
}

static struct run run_once(const struct sizes *sizes, real *const *data, const real *seed, bool to_x,
                           bool to_kernel)
{
    struct run run = {.sizes = sizes, .data = {data[0], data[1]}, .wanted = {to_x, to_kernel}};
    struct error error = ERROR_INIT;
    run.pool = pool_create();
    run.graph = graph_create(run.pool, true);
    assert_true(graph_protect(run.graph, record, &run, &error));
    graph_run(run.graph);
    graph_seed(run.y, seed);
    graph_backward(run.graph);
    return run;
}

static void run_release(struct run *run)
{
    graph_free(run->graph);
    pool_free(run->pool);
}

/* What the sum says, and the gradients of sum(seed y), with double accumulators. */
struct truth {
    double *y, *dx, *dkernel;
};

static struct truth truth_of(const struct sizes *s, real *const *data, const real *seed)
{
    int64_t size = s->batch * s->length * s->channels,
            kernel_size = kernel_count(s) * kernel_channels(s) * s->taps;
    struct truth truth = {calloc((size_t)size, sizeof(double)), calloc((size_t)size, sizeof(double)),
                          calloc((size_t)kernel_size, sizeof(double))};
    for (int64_t b = 0; b < s->batch; b++)
        for (int64_t t = 0; t < s->length; t++)
            for (int64_t j = 0; j < s->taps && (s->circular || j <= t + s->ahead); j++)
                for (int64_t c = 0; c < s->channels && (s->circular || t + s->ahead - j < s->length); c++) {
                    int64_t from = (t + s->ahead - j + s->length) % s->length;
                    int64_t at_y = (b * s->length + t) * s->channels + c;
                    int64_t at_x = (b * s->length + from) * s->channels + c;
                    int64_t kernel = (s->batched ? b : 0) * kernel_channels(s) + (s->alike ? 0 : c);
                    int64_t at_kernel = kernel * s->taps + j;
                    truth.y[at_y] += (double)data[1][at_kernel] * (double)data[0][at_x];
                    truth.dx[at_x] += (double)data[1][at_kernel] * (double)seed[at_y];
                    truth.dkernel[at_kernel] += (double)data[0][at_x] * (double)seed[at_y];
                }
    return truth;
}

static void expect_near_truth(const struct sizes *s)
{
    const double tolerance = sizeof(real) == 4 ? 1e-5 : 1e-12;
    struct gradient_leaf leaves[2];
    leaves_for(s, leaves);
    int64_t size = s->batch * s->length * s->channels,
            kernel_size = kernel_count(s) * kernel_channels(s) * s->taps;
    real *data[] = {leaf_values(leaves, 0), leaf_values(leaves, 1)};
    real *seed = malloc((size_t)size * sizeof *seed);
    random_fill_uniform(1, 2, 0, size, -1, 1, seed);
    struct truth truth = truth_of(s, data, seed);
    tensor_set_threads(1);
    struct run run = run_once(s, data, seed, true, true);
    expect_near(run.y->data, truth.y, size, tolerance);
    expect_near(run.leaves[0]->gradient, truth.dx, size, tolerance);
    expect_near(run.leaves[1]->gradient, truth.dkernel, kernel_size, tolerance);
    /* The same bits with more threads; and one gradient does not need the other. */
    int variant = (int)(s->length + s->batched + 2 * s->circular) % 3;
    bool to_x = variant != 1, to_kernel = variant != 2;
    tensor_set_threads((const int[]){2, 3, 7}[variant]);
    struct run again = run_once(s, data, seed, to_x, to_kernel);
    assert_memory_equal(again.y->data, run.y->data, (size_t)size * sizeof(real));
    if (to_x)
        assert_memory_equal(again.leaves[0]->gradient, run.leaves[0]->gradient, (size_t)size * sizeof(real));
    if (to_kernel)
        assert_memory_equal(again.leaves[1]->gradient, run.leaves[1]->gradient,
                            (size_t)kernel_size * sizeof(real));
    run_release(&again);
    tensor_set_threads(0);
    run_release(&run);
    free(data[0]);
    free(data[1]);
    free(seed);
    free(truth.y);
    free(truth.dx);
    free(truth.dkernel);
}

/* 512 taps are the most that single precision sums directly. */
static void agrees_with_the_sum_where_the_kernel_is_as_long_as_the_sequence(void **state)
{
    static const int64_t lengths[] = {1, 2, 7, 8, 9, 63, 64, 65, 101, 511, 512, 513, 1000, 1009, 1024};
    static const int64_t channels[] = {1, 3, 16, 33};
    for (size_t at = 0; at < sizeof lengths / sizeof *lengths; at++) {
        struct sizes sizes = {.batch = 1 + at % 3,
                              .length = lengths[at],
                              .channels = lengths[at] > 101 ? 3 : channels[at % 4],
                              .taps = lengths[at]};
        expect_near_truth(&sizes);
        sizes.batched = true;
        expect_near_truth(&sizes);
        sizes.circular = true;
        expect_near_truth(&sizes);
        sizes.batched = false;
        expect_near_truth(&sizes);
    }
}

static void agrees_with_the_sum_for_shorter_and_longer_kernels(void **state)
{
    static const int64_t pairs[][2] = {{1, 5},      {5, 1},     {9, 4},      {4, 9},      {100, 3},
                                       {2000, 31},  {600, 512}, {1500, 513}, {1100, 700}, {997, 996},
                                       {600, 1000}, {514, 515}, {512, 2000}, {1009, 2018}};
    for (size_t at = 0; at < sizeof pairs / sizeof *pairs; at++)
        for (int batched = 0; batched < 2; batched++) {
            struct sizes sizes = {
                .batch = 2, .length = pairs[at][0], .channels = 17, .taps = pairs[at][1], .batched = batched};
            expect_near_truth(&sizes);
        }
}

static void agrees_with_the_sum_where_the_kernel_reads_ahead(void **state)
{
    static const int64_t cases[][3] = {{1, 1, 0},        {2, 3, 1},       {9, 17, 8},      {64, 30, 29},
                                       {65, 100, 3},     {257, 513, 256}, {300, 599, 299}, {601, 520, 519},
                                       {1009, 1100, 40}, {600, 2000, 599}};
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++)
        for (int form = 0; form < 4; form++) {
            struct sizes sizes = {.batch = 2,
                                  .length = cases[at][0],
                                  .channels = 19,
                                  .taps = cases[at][1],
                                  .ahead = cases[at][2],
                                  .batched = form & 1,
                                  .alike = form & 2};
            expect_near_truth(&sizes);
        }
}

static void agrees_with_the_sum_where_channels_share_a_kernel(void **state)
{
    static const int64_t lengths[] = {1, 30, 513, 1000};
    for (size_t at = 0; at < sizeof lengths / sizeof *lengths; at++)
        for (int form = 0; form < 4; form++) {
            struct sizes sizes = {.batch = 2,
                                  .length = lengths[at],
                                  .channels = 35,
                                  .taps = lengths[at],
                                  .batched = form & 1,
                                  .circular = form & 2,
                                  .alike = true};
            expect_near_truth(&sizes);
        }
}

/* The gradient checker adds the strided layouts: a kernel with channels innermost among them. */
static void takes_views_and_has_their_gradients(void **state)
{
    static const struct sizes cases[] = {
        {2, 13, 18, 13, false, false},
        {2, 13, 18, 13, true, false},
        {2, 13, 18, 13, false, true},
        {2, 13, 18, 13, true, true},
        {3, 12, 3, 5, false, false},
        {3, 5, 3, 12, true, false},
        {2, 600, 3, 600, false, false},
        {1, 530, 3, 530, false, true},
        {2, 540, 2, 700, true, false},
        {2, 13, 18, 25, true, false, false, 12},
        {2, 13, 18, 25, false, false, true, 12},
        {1, 530, 3, 1000, true, false, true, 500},
    };
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        struct gradient_leaf leaves[2];
        leaves_for(&cases[at], leaves);
        check_gradients(convolve, &cases[at], leaves);
    }
}

static void takes_a_batch_of_none(void **state)
{
    static const struct sizes shared = {0, 600, 3, 600, false, false}, batched = {0, 5, 3, 5, true, false};
    real kernel[3 * 600] = {1}, nothing[1] = {0};
    real *data[] = {nothing, kernel};
    struct run run = run_once(&shared, data, nothing, true, true);
    for (int i = 0; i < 3 * 600; i++)
        assert_true(run.leaves[1]->gradient[i] == 0);
    run_release(&run);
    run = run_once(&batched, data, nothing, true, true);
    run_release(&run);
}

/* y must not hold what later inputs bring, beyond rounding of the transforms, whatever the padding wraps. */
static void is_causal(void **state)
{
    enum { LENGTH = 1001, CUT = 700 };
    struct sizes s = {.batch = 1, .length = LENGTH, .channels = 1, .taps = LENGTH};
    struct gradient_leaf leaves[2];
    leaves_for(&s, leaves);
    real *data[] = {leaf_values(leaves, 0), leaf_values(leaves, 1)}, seed[LENGTH] = {0};
    struct run before = run_once(&s, data, seed, false, true);
    real first[CUT];
    memcpy(first, before.y->data, sizeof first);
    for (int t = CUT; t < LENGTH; t++)
        data[0][t] = -data[0][t];
    struct run after = run_once(&s, data, seed, false, true);
    for (int t = 0; t < CUT; t++)
        assert_true((double)(after.y->data[t] - first[t]) < 1e-5 &&
                    (double)(first[t] - after.y->data[t]) < 1e-5);
    run_release(&before);
    run_release(&after);
    free(data[0]);
    free(data[1]);
}

/* The fewer operations of the two ways, not those of the faster one: 512 taps are summed all the same. */
static void counts_the_fewer_operations(void **state)
{
    static const struct sizes small = {3, 4, 5, 2, false, false}, wrapped = {3, 4, 5, 4, true, true};
    static const struct sizes middle = {2, 512, 5, 512, true, false},
                              large = {2, 1024, 5, 1024, false, false};
    static const struct {
        const struct sizes *sizes;
        double flops, backward;
    } cases[] = {
        {&small, 2.0 * 3 * 5 * (1 + 2 + 2 + 2), 4.0 * 3 * 5 * (1 + 2 + 2 + 2)},
        {&wrapped, 2.0 * 3 * 5 * 16, 4.0 * 3 * 5 * 16},
        {&middle, 30 * 5.0 * 512 * 9 + 10 * 6.0 * 512, 50 * 5.0 * 512 * 9 + 20 * 6.0 * 512},
        {&large, 25 * 5.0 * 1024 * 10 + 10 * 6.0 * 1024, 40 * 5.0 * 1024 * 10 + 20 * 6.0 * 1024},
    };
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        struct run run = {.sizes = cases[at].sizes, .wanted = {true, true}};
        struct error error = ERROR_INIT;
        run.pool = pool_create();
        run.graph = graph_create(run.pool, true);
        assert_true(graph_protect(run.graph, record, &run, &error));
        assert_true(graph_cost(run.graph).flops == cases[at].flops);
        assert_true(graph_cost(run.graph).backward_flops == cases[at].backward);
        run_release(&run);
    }
}

static void refuses_shapes_that_do_not_fit(void **state)
{
    static const struct sizes causal = {0}, circular = {.circular = true};
    struct gradient_leaf flat[] = {LEAF(2, 4, 5), LEAF(2, 5, 4)},
                         channels[] = {LEAF(3, 2, 4, 5), LEAF(2, 4, 4)};
    struct gradient_leaf batch[] = {LEAF(3, 2, 4, 5), LEAF(3, 3, 5, 4)},
                         none[] = {LEAF(3, 2, 4, 5), LEAF(2, 5, 0)};
    struct gradient_leaf shorter[] = {LEAF(3, 2, 4, 5), LEAF(2, 5, 3)},
                         empty[] = {LEAF(3, 2, 0, 5), LEAF(2, 5, 3)};
    const char *kernel_message = "long_convolution: expected a kernel [C, L] or [B, C, L]";
    assert_string_equal(raised_message(convolve, &causal, flat),
                        "long_convolution: expected an input [B, T, C] with T > 0, got [4, 5]");
    assert_non_null(strstr(raised_message(convolve, &causal, empty), "[B, T, C] with T > 0, got [2, 0, 5]"));
    assert_non_null(strstr(raised_message(convolve, &causal, channels), kernel_message));
    assert_non_null(strstr(raised_message(convolve, &causal, batch), kernel_message));
    assert_non_null(strstr(raised_message(convolve, &causal, none), kernel_message));
    assert_string_equal(raised_message(convolve, &circular, shorter),
                        "long_convolution: expected a circular kernel as long as the sequence, got [5, 3]");
    static const struct sizes before_all = {.ahead = 4}, before_taps = {.ahead = 3};
    const char *ahead_message = "fewer taps ahead than there are tokens and taps";
    struct gradient_leaf long_kernel[] = {LEAF(3, 2, 4, 5), LEAF(2, 5, 9)};
    assert_non_null(strstr(raised_message(convolve, &before_all, long_kernel), ahead_message));
    assert_non_null(strstr(raised_message(convolve, &before_taps, shorter), ahead_message));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_sum_where_the_kernel_is_as_long_as_the_sequence),
        cmocka_unit_test(agrees_with_the_sum_for_shorter_and_longer_kernels),
        cmocka_unit_test(agrees_with_the_sum_where_the_kernel_reads_ahead),
        cmocka_unit_test(agrees_with_the_sum_where_channels_share_a_kernel),
        cmocka_unit_test(takes_views_and_has_their_gradients),
        cmocka_unit_test(takes_a_batch_of_none),
        cmocka_unit_test(is_causal),
        cmocka_unit_test(counts_the_fewer_operations),
        cmocka_unit_test(refuses_shapes_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
