/* Regions that a run leaves out. */
#include "gradient.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { N = 12, ROUNDS = 5 };

/* x := x^2 / 2 + x, as long as a counter that falls by one each round is above 0; `argument` is where it
 * starts. */
static tensor *rounds(struct graph *graph, tensor *const *leaves, const void *argument)
{
    tensor *x = leaves[0], *left = tensor_scalar(graph, *(const int *)argument);
    for (int i = 0; i < ROUNDS; i++) {
        tensor *guard = tensor_guard(left);
        tensor *grown = tensor_add(tensor_scale(tensor_multiply(x, x), 0.5), x);
        tensor *fallen = tensor_affine(left, 1, -1);
        x = tensor_guarded(guard, grown, x);
        left = tensor_guarded(guard, fallen, left);
    }
    return x;
}

static const struct gradient_leaf leaves[] = {LEAF(2, 3, N / 3)};

static void computes_what_is_not_left_out(void **state)
{
    real *x = leaf_values(leaves, 0);
    for (int taken = 0; taken <= ROUNDS; taken++) {
        double want[N];
        for (int i = 0; i < N; i++) {
            want[i] = (double)x[i];
            for (int r = 0; r < taken; r++)
                want[i] += want[i] * want[i] / 2;
        }
        int64_t size;
        real *y = evaluate(rounds, &taken, leaves, 1, &size);
        assert_int_equal(size, N);
        expect_near(y, want, N, 1e-5);
        free(y);
    }
    free(x);
}

static void passes_gradients_by_what_is_left_out(void **state)
{
    for (int taken = 0; taken <= ROUNDS; taken++)
        check_gradients(rounds, &taken, leaves);
}

/* A region that could not be computed: its index lies outside. */
static tensor *impossible(struct graph *graph, tensor *const *all, const void *argument)
{
    tensor *guard = tensor_guard(tensor_scalar(graph, *(const int *)argument));
    tensor *made = tensor_add(tensor_gather(all[0], 0, tensor_full(graph, 7, 2, SHAPE(3, N / 3))), all[0]);
    return tensor_guarded(guard, made, all[0]);
}

static void does_not_run_what_is_left_out(void **state)
{
    int taken = 0;
    int64_t size;
    real *x = leaf_values(leaves, 0), *y = evaluate(impossible, &taken, leaves, 1, &size);
    assert_memory_equal(x, y, N * sizeof *x);
    free(x);
    free(y);
    taken = 1;
    assert_non_null(raised_message(impossible, &taken, leaves));
}

static void counts_what_ran(void **state)
{
    for (int taken = 0; taken <= ROUNDS; taken += ROUNDS) {
        struct pool *pool = pool_create();
        struct graph *graph = graph_create(pool, true);
        real values[N] = {1};
        tensor *x = tensor_leaf(graph, values, 2, SHAPE(3, N / 3), true);
        graph_keep(rounds(graph, &x, &taken));
        struct cost recorded = graph_cost(graph);
        assert_true(recorded.flops > 0 && recorded.backward_flops > 0);
        graph_run(graph);
        struct cost ran = graph_cost(graph);
        if (taken)
            assert_memory_equal(&ran, &recorded, sizeof ran);
        else
            assert_true(ran.flops == 0 && ran.backward_flops == 0 && ran.bytes < recorded.bytes);
        graph_free(graph);
        pool_free(pool);
    }
}

static tensor *a_view(struct graph *graph, tensor *const *all, const void *argument)
{
    tensor *guard = tensor_guard(tensor_scalar(graph, 1));
    return tensor_guarded(guard, tensor_slice(tensor_square(all[0]), 0, 1, 2), tensor_slice(all[0], 0, 0, 2));
}

static tensor *another_shape(struct graph *graph, tensor *const *all, const void *argument)
{
    tensor *guard = tensor_guard(tensor_scalar(graph, 1));
    return tensor_guarded(guard, tensor_square(all[0]), tensor_slice(all[0], 0, 0, 2));
}

static void refuses_what_does_not_fit(void **state)
{
    assert_string_equal(raised_message(a_view, NULL, leaves),
                        "guarded: expected a result of the region, no view, got [2, 4]");
    assert_string_equal(raised_message(another_shape, NULL, leaves),
                        "guarded: expected the shape of what is made, got [2, 4]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(computes_what_is_not_left_out),
        cmocka_unit_test(passes_gradients_by_what_is_left_out),
        cmocka_unit_test(does_not_run_what_is_left_out),
        cmocka_unit_test(counts_what_ran),
        cmocka_unit_test(refuses_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
