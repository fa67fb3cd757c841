#include "base/memory.h"
#include "gradient.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct reduction {
    const char *name;
    tensor *(*record)(tensor *x, int axis);
    double (*reduce)(const double *x, int64_t n);
    int axis;
};

static double sum(const double *x, int64_t n)
{
    double total = 0;
    for (int64_t i = 0; i < n; i++)
        total += x[i];
    return total;
}

static double mean(const double *x, int64_t n)
{
    return sum(x, n) / (double)n;
}

static double max(const double *x, int64_t n)
{
    double largest = x[0];
    for (int64_t i = 1; i < n; i++)
        largest = x[i] > largest ? x[i] : largest;
    return largest;
}

static double min(const double *x, int64_t n)
{
    double least = x[0];
    for (int64_t i = 1; i < n; i++)
        least = x[i] < least ? x[i] : least;
    return least;
}

static double variance(const double *x, int64_t n)
{
    double centre = mean(x, n), total = 0;
    for (int64_t i = 0; i < n; i++)
        total += (x[i] - centre) * (x[i] - centre);
    return total / (double)n;
}

static double log_sum_exp(const double *x, int64_t n)
{
    double largest = max(x, n), total = 0;
    if (isinf(largest))
        return largest;
    for (int64_t i = 0; i < n; i++)
        total += exp(x[i] - largest);
    return largest + log(total);
}

static double argmax(const double *x, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        best = x[i] > x[best] ? i : best;
    return (double)best;
}

static struct reduction reductions[] = {
    {"sum", tensor_sum, sum},
    {"mean", tensor_mean, mean},
    {"variance", tensor_variance, variance},
    {"log_sum_exp", tensor_log_sum_exp, log_sum_exp},
    {"max", tensor_max, max}, /* these last: differences must not step over neighbours */
    {"min", tensor_min, min},
    {"argmax", tensor_argmax, argmax},
};
enum { SMOOTH = 4, REDUCTIONS = sizeof reductions / sizeof *reductions };

static tensor *build(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct reduction *reduction = argument;
    return reduction->record(leaves[0], reduction->axis);
}

static void expect_definition(const struct reduction *reduction, const struct gradient_leaf *leaves,
                              double tolerance)
{
    int64_t inner = 1, length = leaves[0].shape[reduction->axis], size;
    for (int i = reduction->axis + 1; i < leaves[0].rank; i++)
        inner *= leaves[0].shape[i];
    real *x = leaf_values(leaves, 0), *y = evaluate(build, reduction, leaves, 1, &size);
    double *want = memory_allocate((size_t)size * sizeof *want);
    double *column = memory_allocate((size_t)length * sizeof *column);
    for (int64_t i = 0; i < size; i++) {
        for (int64_t j = 0; j < length; j++)
            column[j] = (double)x[(i / inner * length + j) * inner + i % inner];
        want[i] = reduction->reduce(column, length);
    }
    expect_near(y, want, size, tolerance);
    free(x);
    free(y);
    free(column);
    free(want);
}

static const double tolerance = sizeof(real) == 4 ? 2e-6 : 1e-13;

static void agrees_with_the_definition(void **state)
{
    const struct gradient_leaf shapes[] = {LEAF(1, 1),         LEAF(1, 17),          LEAF(2, 3, 7),
                                           LEAF(3, 4, 1, 5),   LEAF(3, 2, 300, 3),   LEAF(4, 2, 3, 4, 5),
                                           LEAF(2, 131, 1025), LEAF(3, 2, 129, 2049)};
    for (int r = 0; r < REDUCTIONS; r++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
            for (reductions[r].axis = 0; reductions[r].axis < shapes[s].rank; reductions[r].axis++) {
                struct gradient_leaf leaves[] = {shapes[s]};
                expect_definition(&reductions[r], leaves, tolerance);
            }
}

static void has_the_right_gradients(void **state)
{
    real apart[24]; /* further than the steps of the differences */
    for (int i = 0; i < 24; i++)
        apart[i] = (real)(0.2 * (i * 7 % 24) - 2);
    for (int r = 0; r < REDUCTIONS; r++)
        for (reductions[r].axis = 0; reductions[r].axis < 3; reductions[r].axis++) {
            struct gradient_leaf leaves[] = {{.rank = 3, .shape = {2, 4, 3}, .values = apart}};
            print_message("# %s\n", reductions[r].name);
            check_gradients(build, &reductions[r], leaves);
        }
}

static void has_the_same_gradients_for_any_threads_when_large(void **state)
{
    for (int r = 0; r < SMOOTH; r++)
        for (reductions[r].axis = 0; reductions[r].axis < 2; reductions[r].axis++) {
            struct gradient_leaf leaves[] = {LEAF(2, 40, 1500)};
            check_gradients(build, &reductions[r], leaves);
        }
}

static tensor *build_sum_all(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_sum_all(leaves[0]);
}

static void adds_everything(void **state)
{
    real x[] = {1, 2, 3, 4, 5, 6};
    struct gradient_leaf leaves[] = {{.rank = 3, .shape = {1, 2, 3}, .values = x}};
    int64_t size;
    real *y = evaluate(build_sum_all, NULL, leaves, 1, &size);
    assert_true(size == 1 && *y == 21);
    free(y);
    check_gradients(build_sum_all, NULL, leaves);
}

static void sums_keep_their_digits_over_long_axes(void **state)
{
    for (int r = 0; r < 2; r++) {
        struct gradient_leaf row[] = {LEAF(1, 1000003)}, columns[] = {LEAF(2, 200003, 5)};
        row[0].low = columns[0].low = 0.9, row[0].high = columns[0].high = 1;
        reductions[r].axis = 0;
        expect_definition(&reductions[r], row, sizeof(real) == 4 ? 1e-6 : 1e-12);
        expect_definition(&reductions[r], columns, sizeof(real) == 4 ? 2e-5 : 1e-12);
    }
}

static void log_sum_exp_takes_infinities(void **state)
{
    real x[] = {-INFINITY, -INFINITY, -INFINITY, 2, -INFINITY, 1000,
                INFINITY,  0,         (real)NAN, 1, -1e30f,    1e30f};
    struct reduction row = {"log_sum_exp", tensor_log_sum_exp, NULL, 1};
    struct gradient_leaf leaves[] = {{.rank = 2, .shape = {6, 2}, .values = x}};
    real *y = evaluate(build, &row, leaves, 1, NULL);
    const double want[] = {-INFINITY, 2, 1000, INFINITY, NAN, (double)1e30f};
    expect_near(y, want, 6, 0);
    free(y);
    real turned[12];
    for (int i = 0; i < 12; i++)
        turned[i % 2 * 6 + i / 2] = x[i];
    struct reduction column = {"log_sum_exp", tensor_log_sum_exp, NULL, 0};
    struct gradient_leaf turned_leaves[] = {{.rank = 2, .shape = {2, 6}, .values = turned}};
    y = evaluate(build, &column, turned_leaves, 1, NULL);
    expect_near(y, want, 6, 0);
    free(y);
}

/* Masked entries, and rows that are masked whole, have gradient 0 and not NaN. */
static void log_sum_exp_passes_no_gradient_to_masked_entries(void **state)
{
    real x[] = {-INFINITY, -INFINITY, -INFINITY, 2};
    const real expected[] = {0, 0, 0, 1};
    struct pool *pool = pool_create();
    for (int axis = 0; axis < 2; axis++) {
        struct graph *graph = graph_create(pool, true);
        tensor *leaf = tensor_leaf(graph, x, 2, SHAPE(2, 2), true);
        tensor *y = graph_keep(
            tensor_log_sum_exp(axis ? leaf : tensor_contiguous(tensor_transpose(leaf, 0, 1)), axis));
        graph_run(graph);
        graph_seed(y, (const real[]){1, 1});
        graph_backward(graph);
        assert_memory_equal(leaf->gradient, expected, sizeof expected);
        graph_free(graph);
    }
    pool_free(pool);
}

static void max_shows_nan_and_takes_the_first_of_equals(void **state)
{
    real x[] = {1, (real)NAN, 5, (real)NAN, 2, 9, 9, -INFINITY};
    struct gradient_leaf leaves[] = {{.rank = 2, .shape = {2, 4}, .values = x}};
    struct reduction largest = {"max", tensor_max, NULL, 1}, place = {"argmax", tensor_argmax, NULL, 1};
    real *y = evaluate(build, &largest, leaves, 1, NULL), *z = evaluate(build, &place, leaves, 1, NULL);
    assert_true(isnan(y[0]) && y[1] == 9 && z[0] == 1 && z[1] == 1);
    free(y);
    free(z);
    largest.axis = place.axis = 0;
    y = evaluate(build, &largest, leaves, 1, NULL), z = evaluate(build, &place, leaves, 1, NULL);
    assert_true(y[0] == 2 && isnan(y[1]) && y[2] == 9 && isnan(y[3]));
    assert_true(z[0] == 1 && z[1] == 0 && z[2] == 1 && z[3] == 0);
    free(y);
    free(z);
}

/* In rows long enough to be searched in blocks, at every place: the largest stands twice, and once beside
 * NaN. */
static void max_finds_its_place_in_long_rows(void **state)
{
    enum { N = 101 };
    real x[2 * N];
    struct gradient_leaf leaves[] = {{.rank = 2, .shape = {2, N}, .values = x}};
    struct reduction place = {"argmax", tensor_argmax, NULL, 1};
    for (int first = 0; first < N; first++) {
        for (int i = 0; i < 2 * N; i++)
            x[i] = (real)(-1 - (i * 7) % 5);
        x[first] = x[N - 1] = x[N + (first + 40) % N] = 3;
        x[N + first] = (real)NAN;
        real *y = evaluate(build, &place, leaves, 1, NULL);
        assert_true(y[0] == (real)first && y[1] == (real)first);
        free(y);
    }
}

static void refuses_empty_axes(void **state)
{
    struct gradient_leaf leaves[] = {LEAF(2, 2, 0)};
    struct reduction largest = {"max", tensor_max, NULL, 1},
                     log_sum = {"log_sum_exp", tensor_log_sum_exp, NULL, 1};
    assert_string_equal(raised_message(build, &largest, leaves),
                        "max: expected an axis that is not empty nor too long for exact indices, got [2, 0]");
    assert_string_equal(raised_message(build, &log_sum, leaves),
                        "log_sum_exp: expected an axis that is not empty, got [2, 0]");
    struct reduction total = {"sum", tensor_sum, NULL, 1};
    real *y = evaluate(build, &total, leaves, 1, NULL);
    assert_true(y[0] == 0 && y[1] == 0);
    free(y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_definition),
        cmocka_unit_test(has_the_right_gradients),
        cmocka_unit_test(has_the_same_gradients_for_any_threads_when_large),
        cmocka_unit_test(adds_everything),
        cmocka_unit_test(sums_keep_their_digits_over_long_axes),
        cmocka_unit_test(log_sum_exp_takes_infinities),
        cmocka_unit_test(log_sum_exp_passes_no_gradient_to_masked_entries),
        cmocka_unit_test(max_shows_nan_and_takes_the_first_of_equals),
        cmocka_unit_test(max_finds_its_place_in_long_rows),
        cmocka_unit_test(refuses_empty_axes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
