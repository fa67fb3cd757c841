#include "base/memory.h"
#include "gradient.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct function {
    const char *name;
    tensor *(*record)(tensor *x, int axis);
    double start;
    double (*step)(double before, double x);
    int axis;
};

static double add(double before, double x)
{
    return before + x;
}

static double multiply(double before, double x)
{
    return before * x;
}

static double larger(double before, double x)
{
    return isnan(before) || x <= before ? before : x;
}

static double add_exponentials(double before, double x)
{
    double largest = fmax(before, x);
    return isinf(largest) ? largest : largest + log(exp(before - largest) + exp(x - largest));
}

static struct function functions[] = {
    {"sum", tensor_cumulative_sum, 0, add},
    {"product", tensor_cumulative_product, 1, multiply},
    {"max", tensor_cumulative_max, -INFINITY, larger},
    {"log_sum_exp", tensor_log_cumulative_sum_exp, -INFINITY, add_exponentials},
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

static tensor *build(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct function *function = argument;
    return function->record(leaves[0], function->axis);
}

/* By the definition, in double precision. */
static double *expected_values(const struct function *function, const struct gradient_leaf *leaf,
                               const real *x)
{
    int64_t inner = 1, size = 1, length = leaf->shape[function->axis];
    for (int i = 0; i < leaf->rank; i++) {
        size *= leaf->shape[i];
        inner *= i > function->axis ? leaf->shape[i] : 1;
    }
    double *y = memory_allocate((size_t)size * sizeof *y);
    for (int64_t i = 0; i < size; i++) {
        bool first = i / inner % length == 0;
        y[i] = function->step(first ? function->start : y[i - inner], (double)x[i]);
    }
    return y;
}

static void expect_definition(const struct function *function, const struct gradient_leaf *leaves,
                              double tolerance)
{
    int64_t size;
    real *x = leaf_values(leaves, 0), *y = evaluate(build, function, leaves, 1, &size);
    double *want = expected_values(function, leaves, x);
    expect_near(y, want, size, tolerance);
    free(x);
    free(y);
    free(want);
}

static const double tolerance = sizeof(real) == 4 ? 1e-6 : 1e-13;

static void agrees_with_the_definition(void **state)
{
    const struct gradient_leaf shapes[] = {LEAF(1, 1),         LEAF(1, 9),         LEAF(2, 3, 7),
                                           LEAF(3, 2, 5, 3),   LEAF(3, 2, 40, 64), LEAF(3, 2, 33, 65),
                                           LEAF(4, 2, 3, 4, 5)};
    for (int f = 0; f < FUNCTIONS; f++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
            for (functions[f].axis = 0; functions[f].axis < shapes[s].rank; functions[f].axis++) {
                struct gradient_leaf leaves[] = {shapes[s]};
                print_message("# %s\n", functions[f].name);
                expect_definition(&functions[f], leaves, tolerance);
                leaves[0].low = 0.7, leaves[0].high = 1.2;
                expect_definition(&functions[f], leaves, tolerance);
            }
}

static void has_the_right_gradients(void **state)
{
    for (int f = 0; f < FUNCTIONS; f++)
        for (functions[f].axis = 0; functions[f].axis < 3; functions[f].axis++) {
            real spread[24]; /* apart by more than a step of the differences: the maximum has kinks */
            for (int i = 0; i < 24; i++)
                spread[i] = (real)(0.4 + 0.1 * (i * 7 % 24));
            struct gradient_leaf leaves[] = {{.rank = 3, .shape = {2, 4, 3}, .values = spread}};
            print_message("# %s\n", functions[f].name);
            check_gradients(build, &functions[f], leaves);
        }
}

static void has_the_same_gradients_for_any_threads_when_large(void **state)
{
    for (int f = 0; f < FUNCTIONS; f++) {
        if (functions[f].record == tensor_cumulative_max)
            continue;
        struct gradient_leaf leaves[] = {LEAF(3, 2, 50, 300)};
        leaves[0].low = 0.8, leaves[0].high = 1.2;
        functions[f].axis = 1;
        check_gradients(build, &functions[f], leaves);
    }
}

/* The derivative of a product by the factor that is zero is the product of the others. */
static void product_has_gradients_beside_zeros(void **state)
{
    real rows[] = {2, 0, 3, 5, 0, 3, 0, 2};
    struct function product = {"product", tensor_cumulative_product, 1, multiply, 1};
    struct gradient_leaf leaves[] = {{.rank = 2, .shape = {2, 4}, .values = rows}};
    check_gradients(build, &product, leaves);
}

static void ties_of_the_maximum_go_to_the_first(void **state)
{
    real x[] = {1, 3, 3, 2}, seed[] = {1, 10, 100, 1000};
    struct pool *pool = pool_create();
    struct graph *graph = graph_create(pool, true);
    tensor *leaf = tensor_leaf(graph, x, 1, SHAPE(4), true);
    tensor *y = graph_keep(tensor_cumulative_max(leaf, 0));
    graph_run(graph);
    graph_seed(y, seed);
    graph_backward(graph);
    const real expected[] = {1, 1110, 0, 0};
    assert_memory_equal(leaf->gradient, expected, sizeof expected);
    graph_free(graph);
    pool_free(pool);
}

static void sums_stay_accurate_over_long_axes(void **state)
{
    struct function sum = {"sum", tensor_cumulative_sum, 0, add, 0};
    struct gradient_leaf leaves[] = {LEAF(2, 100000, 3)};
    leaves[0].low = -1, leaves[0].high = -0.9;
    expect_definition(&sum, leaves, sizeof(real) == 4 ? 1e-7 : 1e-15);
    struct function log_sum = {"log_sum_exp", tensor_log_cumulative_sum_exp, -INFINITY, add_exponentials, 0};
    expect_definition(&log_sum, leaves, sizeof(real) == 4 ? 2e-7 : 1e-12);
}

static void takes_infinities_and_wide_ranges(void **state)
{
    struct function log_sum = {"log_sum_exp", tensor_log_cumulative_sum_exp, -INFINITY, add_exponentials, 0};
    real x[] = {-INFINITY, -INFINITY, -1000, 3, -INFINITY, 1000, 2000, INFINITY, 0};
    struct gradient_leaf leaves[] = {{.rank = 1, .shape = {9}, .values = x}};
    expect_definition(&log_sum, leaves, tolerance);

    real seed[] = {1, 1, 1, 1, 1, 1, 1};
    struct pool *pool = pool_create();
    struct graph *graph = graph_create(pool, true);
    tensor *leaf = tensor_leaf(graph, x, 1, SHAPE(7), true);
    tensor *y = graph_keep(tensor_log_cumulative_sum_exp(leaf, 0));
    graph_run(graph);
    graph_seed(y, seed);
    graph_backward(graph);
    const real expected[] = {0, 0, 1, 2, 0, 1, 1};
    for (int i = 0; i < 7; i++)
        assert_true(leaf->gradient[i] == expected[i]);
    graph_free(graph);
    pool_free(pool);
}

static void nan_stays_in_a_running_maximum(void **state)
{
    real x[] = {1, (real)NAN, 5};
    struct function max = functions[2];
    max.axis = 0;
    struct gradient_leaf leaves[] = {{.rank = 1, .shape = {3}, .values = x}};
    real *y = evaluate(build, &max, leaves, 1, NULL);
    assert_true(y[0] == 1 && isnan(y[1]) && isnan(y[2]));
    free(y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_definition),
        cmocka_unit_test(has_the_right_gradients),
        cmocka_unit_test(has_the_same_gradients_for_any_threads_when_large),
        cmocka_unit_test(product_has_gradients_beside_zeros),
        cmocka_unit_test(ties_of_the_maximum_go_to_the_first),
        cmocka_unit_test(sums_stay_accurate_over_long_axes),
        cmocka_unit_test(takes_infinities_and_wide_ranges),
        cmocka_unit_test(nan_stays_in_a_running_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
