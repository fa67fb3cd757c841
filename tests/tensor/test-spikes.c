#include "base/memory.h"
#include "gradient.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, T = 12, C = 70, SIZE = B * T * C };

struct neuron {
    double keep, gain;
    bool detached, initial, potential;
};

static tensor *build(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct neuron *n = argument;
    struct spike_options options = {.keep = n->keep,
                                    .gain = n->gain,
                                    .threshold = 1,
                                    .slope = 2,
                                    .detached = n->detached,
                                    .initial = n->initial ? leaves[1] : NULL};
    tensor *potential, *spikes = tensor_spikes(leaves[0], &options, &potential);
    return n->potential ? gradient_join(2, (tensor *[]){spikes, potential}) : spikes;
}

static const struct gradient_leaf leaves[] = {{.rank = 3, .shape = {B, T, C}, .low = -1, .high = 3},
                                              LEAF(3, B, 1, C)};

/* Potentials by the definition; spikes where they reach 1. */
static void define(const struct neuron *n, const real *x, const real *initial, double *v)
{
    for (int b = 0; b < B; b++)
        for (int c = 0; c < C; c++) {
            double left = n->initial ? (double)initial[b * C + c] : 0;
            for (int t = 0; t < T; t++) {
                int at = (b * T + t) * C + c;
                v[at] = n->keep * left + n->gain * (double)x[at];
                left = v[at] >= 1 ? 0 : v[at];
            }
        }
}

static void fires_where_the_potential_reaches_the_threshold(void **state)
{
    static const struct neuron neurons[] = {{.keep = 0.5, .gain = 0.5, .potential = true},
                                            {.keep = 0.75, .gain = 1, .potential = true, .initial = true}};
    for (size_t i = 0; i < sizeof neurons / sizeof *neurons; i++) {
        int64_t size, fired = 0;
        real *x = leaf_values(leaves, 0), *initial = leaf_values(leaves, 1);
        real *y = evaluate(build, &neurons[i], leaves, 2, &size);
        double *v = memory_allocate(SIZE * sizeof *v);
        define(&neurons[i], x, initial, v);
        assert_int_equal(size, 2 * SIZE);
        for (int j = 0; j < SIZE; j++) {
            assert_true(fabs(v[j] - 1) > 1e-5);
            assert_true(y[j] == (v[j] >= 1 ? 1 : 0));
            fired += y[j] == 1;
        }
        assert_in_range(fired, SIZE / 10, SIZE * 9 / 10);
        expect_near(y + SIZE, v, SIZE, 1e-6);
        free(x);
        free(initial);
        free(y);
        free(v);
    }
}

/* Gradients of sum(r s) with every derivative of a spike replaced by the smooth one, by going back in
 * time. */
static void define_gradients(const struct neuron *n, const double *v, double *dx)
{
    for (int b = 0; b < B; b++)
        for (int c = 0; c < C; c++) {
            double left = 0;
            for (int t = T - 1; t >= 0; t--) {
                int at = (b * T + t) * C + c;
                double spike = v[at] >= 1, u = M_PI * (v[at] - 1);
                double d_spike = cos(at) - (n->detached ? 0 : v[at] * left);
                double d_potential = (1 - spike) * left + d_spike / (1 + u * u);
                dx[at] = n->gain * d_potential;
                left = n->keep * d_potential;
            }
        }
}

struct gradients {
    const struct neuron *neuron;
    const real *x, *seed;
    bool holds;
    real *dx;
};

static void run_gradients(struct graph *graph, void *argument)
{
    struct gradients *g = argument;
    if (g->holds)
        graph_hold(graph);
    real *data = memory_allocate(SIZE * sizeof *data);
    for (int i = 0; i < SIZE; i++)
        data[i] = g->x[i];
    tensor *x = tensor_leaf(graph, data, 3, SHAPE(B, T, C), true);
    tensor *y = graph_keep(build(graph, (tensor *const[]){x, NULL}, g->neuron));
    graph_run(graph);
    graph_seed(y, g->seed);
    graph_backward(graph);
    for (int i = 0; i < SIZE; i++)
        g->dx[i] = x->gradient[i];
    free(data);
}

static void passes_gradients_as_if_the_threshold_were_smooth(void **state)
{
    real *x = leaf_values(leaves, 0), *dx = memory_allocate(SIZE * sizeof *dx);
    real *seed = memory_allocate(SIZE * sizeof *seed);
    double *v = memory_allocate(SIZE * sizeof *v), *want = memory_allocate(SIZE * sizeof *want);
    for (int i = 0; i < SIZE; i++)
        seed[i] = (real)cos(i);
    for (int detached = 0; detached < 2; detached++)
        for (int holds = 0; holds < 2; holds++) {
            struct neuron neuron = {.keep = 0.5, .gain = 0.5, .detached = detached};
            struct gradients g = {&neuron, x, seed, holds, dx};
            struct error error = ERROR_INIT;
            struct pool *pool = pool_create();
            struct graph *graph = graph_create(pool, true);
            assert_true(graph_protect(graph, run_gradients, &g, &error));
            define(&neuron, x, NULL, v);
            define_gradients(&neuron, v, want);
            expect_near(dx, want, SIZE, 1e-5);
            graph_free(graph);
            pool_free(pool);
        }
    free(x);
    free(dx);
    free(seed);
    free(v);
    free(want);
}

static tensor *build_cut(struct graph *graph, tensor *const *all, const void *argument)
{
    const int64_t at = *(const int64_t *)argument;
    struct spike_options options = {.keep = 0.5, .gain = 0.5, .threshold = 1, .slope = 2};
    tensor *potential, *first = tensor_spikes(tensor_slice(all[0], 1, 0, at), &options, &potential);
    tensor *silent = tensor_affine(tensor_slice(first, 1, -1, 1), -1, 1);
    options.initial = tensor_multiply(silent, tensor_slice(potential, 1, -1, 1));
    tensor *second = tensor_spikes(tensor_slice(all[0], 1, at, T - at), &options, NULL);
    return tensor_concat(2, (tensor *[]){first, second}, 1);
}

static void continues_from_a_last_potential(void **state)
{
    static const struct neuron neuron = {.keep = 0.5, .gain = 0.5};
    int64_t size;
    real *whole = evaluate(build, &neuron, leaves, 2, &size);
    for (int64_t at = 1; at < T; at++) {
        real *pieces = evaluate(build_cut, &at, leaves, 2, NULL);
        assert_memory_equal(pieces, whole, (size_t)size * sizeof(real));
        free(pieces);
    }
    free(whole);
}

static void refuses_shapes_that_do_not_fit(void **state)
{
    static const struct neuron neuron = {.keep = 0.5, .gain = 0.5, .initial = true};
    static const struct gradient_leaf flat[] = {LEAF(2, B, T), LEAF(3, B, 1, C)};
    static const struct gradient_leaf narrow[] = {LEAF(3, B, T, C), LEAF(3, B, 1, 3)};
    assert_non_null(strstr(raised_message(build, &neuron, flat), "[B, T, C]"));
    assert_non_null(strstr(raised_message(build, &neuron, narrow), "initial potential"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fires_where_the_potential_reaches_the_threshold),
        cmocka_unit_test(passes_gradients_as_if_the_threshold_were_smooth),
        cmocka_unit_test(continues_from_a_last_potential),
        cmocka_unit_test(refuses_shapes_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
