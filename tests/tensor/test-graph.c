#include "base/memory.h"
#include "tensor/operation.h"
#include "tensor/random.h"
#include "tensor/tensor.h"
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A graph in a pool of its own; nothing may be left in the pool when the graph is gone. */
struct fixture {
    struct pool *pool;
    struct graph *graph;
};

static struct fixture open_graph(bool gradients)
{
    struct fixture f = {.pool = pool_create()};
    f.graph = graph_create(f.pool, gradients);
    return f;
}

static void close_graph(struct fixture *f)
{
    graph_free(f->graph);
    assert_int_equal(pool_used(f->pool), 0);
    pool_free(f->pool);
}

static void expect_values(const real *got, int count, const double *want)
{
    for (int i = 0; i < count; i++)
        if (!(fabs((double)got[i] - want[i]) <= 1e-6 * fmax(1, fabs(want[i]))))
            fail_msg("entry %d is %.9g instead of %.9g", i, (double)got[i], want[i]);
}
#define VALUES(...) ((const double[]){__VA_ARGS__})

/* ---- Running ---- */

static void runs_again_on_changed_leaves(void **state)
{
    struct fixture f = open_graph(true);
    real a[] = {1, 2}, b[] = {3, 4};
    tensor *x = tensor_leaf(f.graph, a, 1, SHAPE(2), true), *y = tensor_leaf(f.graph, b, 1, SHAPE(2), true);
    tensor *z = graph_keep(tensor_multiply(tensor_add(x, y), y));
    for (int round = 0; round < 3; round++) {
        a[0] = (real)round;
        graph_run(f.graph);
        expect_values(z->data, 2, VALUES((round + 3) * 3, 24));
        graph_seed(z, (const real[]){1, 10});
        graph_backward(f.graph);
        expect_values(x->gradient, 2, VALUES(3, 40)); /* from zero each time */
        expect_values(y->gradient, 2, VALUES(round + 6, 100));
    }
    close_graph(&f);
}

static void keeps_what_it_is_asked_to_keep(void **state)
{
    struct fixture f = open_graph(false);
    real a[] = {1, 2, 3, 4};
    tensor *x = tensor_leaf(f.graph, a, 2, SHAPE(2, 2), false);
    tensor *doubled = tensor_scale(x, 2);
    tensor *row = graph_keep(tensor_slice(doubled, 0, 1, 1)); /* of which the array must stay */
    tensor *square = tensor_square(doubled);                  /* might have taken its storage */
    tensor *dropped = tensor_affine(square, 1, 0.5);
    tensor *last = graph_keep(tensor_scale(dropped, 10));
    graph_run(f.graph);
    expect_values(row->data, 2, VALUES(6, 8));
    expect_values(last->data, 4, VALUES(45, 165, 365, 645));
    assert_null(square->data);
    close_graph(&f);
}

static void computes_only_what_is_needed(void **state)
{
    struct fixture f = open_graph(false);
    real a[] = {1, 2}, bad[] = {7};
    tensor *x = tensor_leaf(f.graph, a, 1, SHAPE(2), false);
    tensor_gather(x, 0, tensor_leaf(f.graph, bad, 1, SHAPE(1), false)); /* would end the run */
    tensor *y = graph_keep(tensor_scale(x, 3));
    graph_run(f.graph);
    expect_values(y->data, 2, VALUES(3, 6));
    close_graph(&f);
}

/* ---- Gradients ---- */

static void adds_up_gradients_of_several_readers_and_views(void **state)
{
    struct fixture f = open_graph(true);
    real a[] = {1, 2, 3, 4, 5, 6};
    tensor *x = tensor_leaf(f.graph, a, 2, SHAPE(2, 3), true);
    tensor *scaled = tensor_scale(x, 2);
    tensor *left = tensor_slice(scaled, 1, 0, 2), *right = tensor_slice(scaled, 1, 1, 2); /* share a column */
    tensor *turned = tensor_reshape(tensor_transpose(scaled, 0, 1), 2, SHAPE(2, 3));
    tensor *sum = graph_keep(tensor_add(left, right)), *product = graph_keep(tensor_multiply(turned, scaled));
    graph_run(f.graph);
    expect_values(sum->data, 4, VALUES(6, 10, 18, 22));
    expect_values(product->data, 6, VALUES(4, 32, 24, 80, 60, 144));
    graph_seed(sum, (const real[]){1, 10, 100, 1000});
    graph_seed(product, (const real[]){1, 0, 0, 0, 0, 1});
    graph_backward(f.graph);
    /* product[0] = 4 x0 x0, product[5] = 4 x5 x5 */
    expect_values(x->gradient, 6, VALUES(2 + 8, 2 * 11, 20, 200, 2 * 1100, 2000 + 48));
    close_graph(&f);
}

static void seeds_add_up(void **state)
{
    struct fixture f = open_graph(true);
    real a[] = {1, 2};
    tensor *x = tensor_leaf(f.graph, a, 1, SHAPE(2), true), *y = graph_keep(tensor_scale(x, 3));
    tensor *z = graph_keep(tensor_square(y));
    graph_run(f.graph);
    graph_seed(y, (const real[]){1, 1});
    graph_seed(y, (const real[]){0, 1});
    graph_seed(z, (const real[]){1, 0});
    graph_backward(f.graph);
    expect_values(x->gradient, 2, VALUES(3 + 2 * 3 * 3, 6));
    close_graph(&f);
}

static void leaves_without_part_have_no_gradient(void **state)
{
    struct fixture f = open_graph(true);
    real a[] = {1}, b[] = {2}, c[] = {3};
    tensor *x = tensor_leaf(f.graph, a, 1, SHAPE(1), true),
           *fixed = tensor_leaf(f.graph, b, 1, SHAPE(1), false);
    tensor *apart = tensor_leaf(f.graph, c, 1, SHAPE(1), true);
    tensor *y = graph_keep(tensor_multiply(x, fixed)), *other = graph_keep(tensor_scale(apart, 2));
    graph_run(f.graph);
    graph_seed(y, (const real[]){1});
    graph_backward(f.graph);
    expect_values(x->gradient, 1, VALUES(2));
    assert_null(fixed->gradient);
    assert_null(apart->gradient);
    expect_values(other->data, 1, VALUES(6));
    close_graph(&f);
}

static void uses_any_of_several_outputs(void **state)
{
    for (int which = 0; which < 3; which++) {
        struct fixture f = open_graph(true);
        real a[] = {3, 9, 5, 7};
        tensor *x = tensor_leaf(f.graph, a, 1, SHAPE(4), true), *indices;
        tensor *values = tensor_top_k(tensor_scale(x, 2), 2, &indices);
        tensor *y = which != 1 ? graph_keep(tensor_scale(values, 10)) : NULL;
        tensor *z = which != 0 ? graph_keep(tensor_affine(indices, 1, 0.5)) : NULL;
        graph_run(f.graph);
        if (y) {
            expect_values(y->data, 2, VALUES(180, 140));
            graph_seed(y, (const real[]){1, 2});
            graph_backward(f.graph);
            expect_values(x->gradient, 4, VALUES(0, 20, 0, 40));
        }
        if (z)
            expect_values(z->data, 2, VALUES(1.5, 3.5));
        close_graph(&f);
    }
}

/* ---- Memory ---- */

enum { LARGE = 1 << 18 };

static size_t peak_of(bool gradients, tensor *(*step)(tensor *x, int number), int steps)
{
    struct fixture f = open_graph(gradients);
    real *a = memory_allocate_zero(LARGE, sizeof *a);
    tensor *x = tensor_leaf(f.graph, a, 2, SHAPE(512, 512), gradients);
    for (int i = 0; i < steps; i++)
        x = step(x, i);
    graph_keep(x);
    graph_run(f.graph);
    size_t peak = pool_peak(f.pool);
    close_graph(&f);
    free(a);
    return peak;
}

static tensor *pointwise_step(tensor *x, int number)
{
    return number % 2 ? tensor_exp(x) : tensor_affine(x, -1, 0.5);
}

static tensor *residual_step(tensor *x, int number)
{
    return tensor_add(x, tensor_tanh(tensor_scale(x, 0.5)));
}

static tensor *transposing_step(tensor *x, int number)
{
    return tensor_contiguous(tensor_transpose(x, 0, 1));
}

static tensor *shifting_step(tensor *x, int number)
{
    return tensor_affine(x, 1, 1);
}

static void frees_buffers_after_their_last_reader(void **state)
{
    const size_t buffer = LARGE * sizeof(real);
    assert_int_equal(peak_of(false, pointwise_step, 60), buffer);    /* each in the place of the one before */
    assert_true(peak_of(false, residual_step, 60) <= 2 * buffer);    /* x and what is added */
    assert_true(peak_of(false, transposing_step, 60) <= 2 * buffer); /* from one to the other */
    assert_int_equal(peak_of(true, shifting_step, 60), buffer);      /* a backward that reads nothing */
    assert_true(peak_of(true, residual_step, 20) >= 20 * buffer);    /* tanh reads its result */
    assert_true(peak_of(true, residual_step, 20) <= 22 * buffer);
}

static void backward_frees_what_it_has_used(void **state)
{
    struct fixture f = open_graph(true);
    real *a = memory_allocate_zero(LARGE, sizeof *a);
    tensor *x = tensor_leaf(f.graph, a, 1, SHAPE(LARGE), true), *y = x;
    for (int i = 0; i < 20; i++)
        y = tensor_tanh(y);
    y = graph_keep(tensor_sum(y, 0));
    graph_run(f.graph);
    pool_reset_peak(f.pool);
    size_t saved = pool_used(f.pool);
    graph_seed(y, (const real[]){1});
    graph_backward(f.graph);
    const size_t buffer = LARGE * sizeof(real);
    assert_true(pool_peak(f.pool) <= saved + 3 * buffer);
    assert_true(pool_used(f.pool) <= buffer + 4096); /* the leaf's gradient and the result */
    expect_values(x->gradient, 1, VALUES(1));
    close_graph(&f);
    free(a);
}

/* ---- Reuse of storage: programs at random, with and without ---- */

enum { NODES = 40, SIDE = 4, ENTRIES = SIDE * SIDE, LEAVES = 3 };

struct program {
    uint64_t seed;
    int draw;
    tensor *nodes[NODES];
};

static int choose(struct program *program, int below)
{
    return (int)random_integer(17, program->seed, (uint64_t)program->draw++, (uint64_t)below);
}

/* One of the nodes before `count`, more often a late one. */
static tensor *choose_node(struct program *program, int count)
{
    int reach = choose(program, 2) ? count : count < 3 ? count : 3;
    return program->nodes[count - 1 - choose(program, reach)];
}

static tensor *choose_step(struct program *program, int count)
{
    tensor *a = choose_node(program, count), *b = choose_node(program, count), *indices;
    switch (choose(program, 16)) {
    case 0:
        return tensor_add(a, b);
    case 1:
        return tensor_multiply(a, b);
    case 2:
        return tensor_subtract(b, a);
    case 3:
        return tensor_tanh(a);
    case 4:
        return tensor_affine(a, 0.5, 0.1);
    case 5:
        return tensor_transpose(a, 0, 1);
    case 6:
        return tensor_sigmoid(tensor_transpose(a, 0, 1));
    case 7:
        return tensor_roll(a, choose(program, 2), 1);
    case 8:
        return tensor_reshape(tensor_transpose(a, 0, 1), 2, SHAPE(SIDE, SIDE));
    case 9:
        return tensor_softmax(a, 1);
    case 10:
        return tensor_add(a, tensor_slice(b, 0, choose(program, SIDE), 1));
    case 11:
        return tensor_where(tensor_greater(a, b), b, tensor_sin(a));
    case 12:
        return tensor_scale(tensor_matmul(a, b), 0.25);
    case 13:
        return tensor_multiply(a, tensor_stop_gradient(b));
    case 14:
        tensor_sort(a, true, &indices);
        return tensor_gather(b, 1, indices);
    default:
        return tensor_maximum(a, tensor_contiguous(b));
    }
}

/* Runs the program and copies out the results: the last node, some others, and the gradients of the
 * leaves. */
static void run_program(uint64_t seed, bool keep_all, bool gradients, real *results)
{
    struct fixture f = open_graph(gradients);
    struct program program = {.seed = seed};
    real leaves[LEAVES][ENTRIES];
    for (int i = 0; i < LEAVES; i++) {
        random_fill_uniform(18, seed, (uint64_t)i * ENTRIES, ENTRIES, -1, 1, leaves[i]);
        program.nodes[i] = tensor_leaf(f.graph, leaves[i], 2, SHAPE(SIDE, SIDE), true);
    }
    for (int i = LEAVES; i < NODES; i++)
        program.nodes[i] = choose_step(&program, i);
    int extra = LEAVES + choose(&program, NODES - LEAVES);
    tensor *outputs[2] = {tensor_contiguous(program.nodes[NODES - 1]),
                          tensor_contiguous(program.nodes[extra])};
    for (int i = 0; keep_all && i < NODES; i++)
        graph_keep(program.nodes[i]);
    for (int i = 0; i < 2; i++)
        graph_keep(outputs[i]);
    for (int round = 0; round < 2; round++) {
        graph_run(f.graph);
        for (int i = 0; i < 2; i++)
            memcpy(results + i * ENTRIES, outputs[i]->data, sizeof leaves[0]);
        for (int i = 0; gradients && i < 2; i++)
            graph_seed(outputs[i], leaves[i]);
        if (gradients)
            graph_backward(f.graph);
        for (int i = 0; i < LEAVES; i++)
            if (program.nodes[i]->gradient)
                memcpy(results + (2 + i) * ENTRIES, program.nodes[i]->gradient, sizeof leaves[0]);
    }
    close_graph(&f);
}

static void reuse_of_storage_changes_nothing(void **state)
{
    enum { RESULTS = (2 + LEAVES) * ENTRIES };
    for (uint64_t seed = 0; seed < 400; seed++) {
        real kept[RESULTS] = {0}, reused[RESULTS] = {0}, forward[RESULTS] = {0};
        run_program(seed, true, true, kept);
        run_program(seed, false, true, reused);
        run_program(seed, false, false, forward);
        for (int i = 0; i < RESULTS; i++) { /* not by bits: a zero may have the other sign */
            assert_true(isfinite(kept[i]));
            if (kept[i] != reused[i])
                fail_msg("program %d gives other results when storage is reused", (int)seed);
            if (i < 2 * ENTRIES && kept[i] != forward[i])
                fail_msg("program %d gives other results without gradients", (int)seed);
        }
    }
}

/* ---- Raising ---- */

static void raise_a_number(struct graph *graph, void *argument)
{
    graph_raise(graph, STATUS_NO, "number %d", *(int *)argument);
}

static void raise_inside(struct graph *graph, void *argument)
{
    struct error inner = ERROR_INIT;
    assert_false(graph_protect(graph, raise_a_number, &(int){1}, &inner));
    assert_string_equal(inner.message, "number 1");
    if (argument)
        graph_raise(graph, STATUS_USAGE, "after %s", inner.message);
}

static void returns_raised_errors_to_the_nearest_protect(void **state)
{
    struct fixture f = open_graph(false);
    struct error error = ERROR_INIT;
    assert_true(graph_protect(f.graph, raise_inside, NULL, &error));
    assert_int_equal(error.status, STATUS_OK);
    assert_false(graph_protect(f.graph, raise_inside, &f, &error));
    assert_int_equal(error.status, STATUS_USAGE);
    assert_string_equal(error.message, "after number 1");
    close_graph(&f);
}

static void run_and_go_back(struct graph *graph, void *argument)
{
    graph_run(graph);
    if (argument) {
        graph_seed(argument, (const real[]){1, 1});
        graph_backward(graph);
    }
}

/* The failing node reads storage that another stole, so that what is left after it matters. */
static void runs_again_after_a_run_that_failed(void **state)
{
    struct fixture f = open_graph(true);
    struct error error = ERROR_INIT;
    real table[] = {10, 20, 30}, ids[] = {0, 7};
    tensor *x = tensor_leaf(f.graph, table, 1, SHAPE(3), true);
    tensor *indices =
        tensor_affine(tensor_affine(tensor_leaf(f.graph, ids, 1, SHAPE(2), false), 1, 1), 1, -1);
    tensor *y =
        graph_keep(tensor_scale(tensor_gather(tensor_affine(tensor_scale(x, 2), 1, 1), 0, indices), 3));
    for (int round = 0; round < 3; round++) {
        ids[1] = 7;
        assert_false(graph_protect(f.graph, run_and_go_back, NULL, &error));
        assert_int_equal(error.status, STATUS_USAGE);
        assert_string_equal(error.message,
                            "gather: index 7 (number 1 of [2]) is not a whole number from 0 to 2");
        ids[1] = 2;
        assert_true(graph_protect(f.graph, run_and_go_back, y, &error));
        expect_values(y->data, 2, VALUES(63, 183));
        expect_values(x->gradient, 3, VALUES(6, 0, 6));
    }
    ids[1] = 3;
    assert_false(graph_protect(f.graph, run_and_go_back, NULL, &error)); /* freed in this state */
    close_graph(&f);
}

/* ---- Costs ---- */

static void counts_costs_before_running(void **state)
{
    struct fixture f = open_graph(true);
    tensor *x = tensor_leaf(f.graph, NULL, 2, SHAPE(10, 20), true),
           *c = tensor_leaf(f.graph, NULL, 1, SHAPE(20), false);
    tensor *y = tensor_multiply(x, c);
    struct cost cost = graph_cost(f.graph);
    assert_true(cost.flops == 200 && cost.backward_flops == 400);
    assert_true(cost.bytes == (200 + 20 + 200) * sizeof(real) && cost.backward_bytes == 2 * cost.bytes);
    tensor_transpose(y, 0, 1); /* moves nothing */
    tensor_multiply(c, c);     /* has no backward here */
    struct cost after = graph_cost(f.graph);
    assert_true(after.flops == 220 && after.backward_flops == 400 &&
                after.backward_bytes == cost.backward_bytes);
    assert_int_equal(graph_node_count(f.graph), 5);
    close_graph(&f);
}

/* ---- Denormals ---- */

static int denormals_seen(const real *x, int64_t n)
{
    int seen = 0;
    for (int64_t i = 0; i < n; i++)
        seen += fpclassify(x[i]) == FP_SUBNORMAL;
    return seen;
}

static void flushes_denormals_in_every_thread_and_puts_them_back(void **state)
{
#ifdef __x86_64__
    struct fixture f = open_graph(false);
    real *a = memory_allocate(LARGE * sizeof *a);
    const real least = sizeof(real) == 4 ? (real)FLT_MIN : (real)DBL_MIN;
    for (int i = 0; i < LARGE; i++)
        a[i] = least;
    tensor *x = tensor_leaf(f.graph, a, 1, SHAPE(LARGE), false), *y = graph_keep(tensor_scale(x, 0.25));
    tensor *small = graph_keep(tensor_scale(tensor_slice(x, 0, 0, 8), 0.25));
    tensor_set_threads(3);
    graph_run(f.graph);
    assert_int_equal(denormals_seen(y->data, LARGE), 0);
    assert_int_equal(denormals_seen(small->data, 8), 0);
    real after[3] = {0};
    volatile real quarter = (real)0.25;
#pragma omp parallel for num_threads(3) schedule(static)
    for (int i = 0; i < 3; i++)
        after[i] = least * quarter;
    assert_int_equal(denormals_seen(after, 3), 3);
    tensor_set_threads(0);
    close_graph(&f);
    free(a);
#endif
}

/* ---- Pool ---- */

static void pool_reuses_buffers_and_counts_them(void **state)
{
    struct pool *pool = pool_create();
    void *first = pool_take(pool, 5000), *second = pool_take(pool, 5000);
    assert_true((uintptr_t)first % 64 == 0 && (uintptr_t)second % 64 == 0 && first != second);
    size_t both = pool_used(pool);
    assert_true(both >= 10000 && both <= 10000 * 9 / 8);
    pool_give(pool, first);
    assert_int_equal(pool_used(pool), both / 2);
    assert_int_equal(pool_peak(pool), both);
    assert_ptr_equal(pool_take(pool, 4700), first);
    pool_give(pool, first);
    pool_give(pool, second);
    pool_give(pool, NULL);
    pool_reset_peak(pool);
    assert_true(pool_used(pool) == 0 && pool_peak(pool) == 0);
    for (size_t bytes = 1; bytes < 1 << 22; bytes = bytes * 5 / 4 + 1) {
        unsigned char *data = pool_take(pool, bytes);
        memset(data, 1, bytes);
        assert_true(pool_used(pool) >= bytes);
        pool_give(pool, data);
        assert_int_equal(pool_used(pool), 0);
    }
    pool_free(pool);
}

#ifdef CLADE_POISON
static void fills_buffers_with_nan(void **state)
{
    struct pool *pool = pool_create();
    for (int round = 0; round < 2; round++) {
        real *data = pool_take(pool, 1000 * sizeof(real));
        for (int i = 0; i < 1000; i++) {
            assert_true(isnan(data[i]));
            data[i] = 1;
        }
        pool_give(pool, data);
    }
    pool_free(pool);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_again_on_changed_leaves),
        cmocka_unit_test(keeps_what_it_is_asked_to_keep),
        cmocka_unit_test(computes_only_what_is_needed),
        cmocka_unit_test(adds_up_gradients_of_several_readers_and_views),
        cmocka_unit_test(seeds_add_up),
        cmocka_unit_test(leaves_without_part_have_no_gradient),
        cmocka_unit_test(uses_any_of_several_outputs),
        cmocka_unit_test(frees_buffers_after_their_last_reader),
        cmocka_unit_test(backward_frees_what_it_has_used),
        cmocka_unit_test(reuse_of_storage_changes_nothing),
        cmocka_unit_test(returns_raised_errors_to_the_nearest_protect),
        cmocka_unit_test(runs_again_after_a_run_that_failed),
        cmocka_unit_test(counts_costs_before_running),
        cmocka_unit_test(flushes_denormals_in_every_thread_and_puts_them_back),
        cmocka_unit_test(pool_reuses_buffers_and_counts_them),
#ifdef CLADE_POISON
        cmocka_unit_test(fills_buffers_with_nan),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
