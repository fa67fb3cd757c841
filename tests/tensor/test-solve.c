/* tensor_solve against products, and its gradients. */
#include "gradient.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const double tolerance = sizeof(real) == 4 ? 1e-5 : 1e-12;

static tensor *build(struct graph *graph, tensor *const *leaves, const void *argument)
{
    (void)graph, (void)argument;
    return tensor_solve(leaves[0], leaves[1]);
}

/* A (A^-1 b), which is b again. */
static tensor *build_product(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_matmul(leaves[0], build(graph, leaves, argument));
}

/* The identity plus something small, so that it has a good inverse; with zeros on its diagonal if `permuted`,
 * by rows in reverse order. */
static void fill(real *values, int64_t count, int64_t n, bool permuted)
{
    for (int64_t k = 0; k < count * n * n; k++) {
        int64_t i = k / n % n, j = k % n;
        bool one = permuted ? i + j == n - 1 : i == j;
        values[k] = (real)(one ? 1 : 0.7 / (double)n * sin((double)(3 * k + 1)));
        if (permuted && i == j && !one)
            values[k] = 0;
    }
}

static void solves_what_it_is_given(void **state)
{
    for (int64_t n = 1; n <= 33; n += 8)
        for (int permuted = 0; permuted < 2; permuted++) {
            real a[3 * 33 * 33];
            fill(a, 3, n, permuted);
            struct gradient_leaf leaves[] = {{.rank = 3, .shape = {3, n, n}, .values = a}, LEAF(3, 3, n, 4)};
            real *b = leaf_values(leaves, 1);
            int64_t size;
            real *got = evaluate(build_product, NULL, leaves, 2, &size);
            assert_int_equal(size, 3 * n * 4);
            double *want = malloc((size_t)size * sizeof *want);
            for (int64_t i = 0; i < size; i++)
                want[i] = (double)b[i];
            expect_near(got, want, size, tolerance);
            free(want);
            free(got);
            free(b);
        }
}

static void one_matrix_serves_many_right_sides(void **state)
{
    real a[9];
    fill(a, 1, 3, true);
    struct gradient_leaf leaves[] = {{.rank = 2, .shape = {3, 3}, .values = a}, LEAF(4, 2, 3, 3, 1)};
    check_gradients(build, NULL, leaves);
    struct gradient_leaf many[] = {{.rank = 3, .shape = {2, 3, 3}, .values = NULL}, LEAF(2, 3, 2)};
    real two[18];
    fill(two, 2, 3, false);
    many[0].values = two;
    check_gradients(build, NULL, many);
}

static void refuses_shapes_that_do_not_fit(void **state)
{
    struct gradient_leaf oblong[] = {LEAF(2, 2, 3), LEAF(2, 3, 1)}, sides[] = {LEAF(2, 3, 3), LEAF(2, 2, 1)},
                         leading[] = {LEAF(3, 2, 3, 3), LEAF(3, 3, 3, 1)};
    assert_string_equal(raised_message(build, NULL, oblong),
                        "solve: expected square matrices [.., N, N], got [2, 3]");
    assert_string_equal(raised_message(build, NULL, sides),
                        "solve: expected right sides [.., N, M], got [2, 1]");
    assert_string_equal(raised_message(build, NULL, leading),
                        "solve: expected leading axes that broadcast, got [3, 3, 1]");
}

static void a_singular_matrix_gives_no_number(void **state)
{
    const real zeros[4] = {0};
    struct gradient_leaf leaves[] = {{.rank = 2, .shape = {2, 2}, .values = zeros}, LEAF(2, 2, 1)};
    real *x = evaluate(build, NULL, leaves, 2, NULL);
    assert_false(isfinite((double)x[0]));
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(solves_what_it_is_given),
        cmocka_unit_test(one_matrix_serves_many_right_sides),
        cmocka_unit_test(refuses_shapes_that_do_not_fit),
        cmocka_unit_test(a_singular_matrix_gives_no_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
