#include "base/memory.h"
#include "gradient.h"
#include "tensor/random.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TOP_K, ASCENDING, DESCENDING };

struct request {
    int what;
    int64_t k;
};

static tensor *build(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct request *request = argument;
    return request->what == TOP_K ? tensor_top_k(leaves[0], request->k, NULL)
                                  : tensor_sort(leaves[0], request->what == DESCENDING, NULL);
}

/* Values and their indices, one after the other. */
static tensor *build_both(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct request *request = argument;
    tensor *results[2];
    results[0] = request->what == TOP_K ? tensor_top_k(leaves[0], request->k, &results[1])
                                        : tensor_sort(leaves[0], request->what == DESCENDING, &results[1]);
    return gradient_join(2, results);
}

/* Position of entry i among the n of its row by counting those that come before it. */
static int64_t place_in_order(const real *x, int64_t n, int64_t i, bool descending)
{
    int64_t place = 0;
    for (int64_t j = 0; j < n; j++) {
        bool larger = isnan(x[j]) ? !isnan(x[i]) : x[j] > x[i],
             smaller = isnan(x[i]) ? !isnan(x[j]) : x[j] < x[i];
        bool equal = !larger && !smaller;
        place += (descending ? larger : smaller) || (equal && j < i);
    }
    return place;
}

static void expect_order(const struct request *request, const struct gradient_leaf *leaves)
{
    int64_t n = leaves[0].shape[leaves[0].rank - 1], size, k = request->what == TOP_K ? request->k : n;
    real *x = leaf_values(leaves, 0), *y = evaluate(build_both, request, leaves, 1, &size);
    int64_t rows = k ? size / 2 / k : 0;
    for (int64_t row = 0; row < rows; row++)
        for (int64_t i = 0; i < n; i++) {
            int64_t place = place_in_order(x + row * n, n, i, request->what != ASCENDING);
            if (place >= k)
                continue;
            assert_true(y[(rows + row) * k + place] == (real)i);
            assert_memory_equal(&y[row * k + place], &x[row * n + i], sizeof(real));
        }
    free(x);
    free(y);
}

/* Whole numbers from a small range, so that there are many ties; a few zeros of either sign. */
static real *values_with_ties(int64_t n, uint64_t below)
{
    real *x = memory_allocate((size_t)n * sizeof(real));
    random_fill_integers(5, below, 0, n, below, x);
    for (int64_t i = 0; i < n; i++)
        x[i] = x[i] == 1 ? -(real)0 : x[i] - (real)(below / 2);
    return x;
}

static void orders_rows_of_any_length(void **state)
{
    static const int64_t lengths[] = {1, 2, 7, 8, 9, 16, 17, 63, 64, 65, 500};
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
        int64_t n = lengths[l];
        for (uint64_t below = 3; below <= 3000; below *= 10) {
            real *x = values_with_ties(5 * n, below);
            struct gradient_leaf leaves[] = {{.rank = 2, .shape = {5, n}, .values = x}};
            expect_order(&(struct request){ASCENDING, 0}, leaves);
            expect_order(&(struct request){DESCENDING, 0}, leaves);
            const int64_t ks[] = {0, 1, n / 16, n / 9, n / 8, n / 2, n};
            for (size_t k = 0; k < sizeof ks / sizeof *ks; k++)
                expect_order(&(struct request){TOP_K, ks[k]}, leaves);
            free(x);
        }
    }
}

static void puts_nan_after_infinity(void **state)
{
    real x[20] = {1, INFINITY, (real)NAN, -INFINITY, -1, -(real)NAN, (real)NAN, 0, INFINITY};
    struct gradient_leaf leaves[] = {{.rank = 1, .shape = {20}, .values = x}};
    expect_order(&(struct request){ASCENDING, 0}, leaves);
    expect_order(&(struct request){DESCENDING, 0}, leaves);
    expect_order(&(struct request){TOP_K, 2}, leaves);
    expect_order(&(struct request){TOP_K, 5}, leaves);
}

static void passes_gradients_to_the_chosen(void **state)
{
    real apart[48]; /* further than the steps of the differences */
    for (int i = 0; i < 48; i++)
        apart[i] = (real)(0.2 * (i * 29 % 48));
    struct gradient_leaf leaves[] = {{.rank = 2, .shape = {2, 24}, .values = apart}};
    check_gradients(build, &((struct request){TOP_K, 2}), leaves);
    check_gradients(build, &((struct request){TOP_K, 5}), leaves);
    check_gradients(build, &((struct request){ASCENDING, 0}), leaves);
    check_gradients(build, &((struct request){DESCENDING, 0}), leaves);
    check_gradients(build_both, &((struct request){TOP_K, 3}), leaves);
}

static void is_the_same_for_any_number_of_threads(void **state)
{
    struct gradient_leaf leaves[] = {LEAF(2, 31, 1000)};
    leaves[0].fixed = true; /* differences would step over neighbours */
    check_gradients(build_both, &((struct request){TOP_K, 20}), leaves);
    check_gradients(build_both, &((struct request){ASCENDING, 0}), leaves);
}

static tensor *build_argmax(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_argmax(leaves[0], *(const int *)argument);
}

static void argmax_is_the_first_of_the_largest(void **state)
{
    real x[] = {3, 7, 7, 1, 9, 2, 9, 0};
    struct gradient_leaf leaves[] = {{.rank = 2, .shape = {2, 4}, .values = x}};
    real *y = evaluate(build_argmax, &(int){1}, leaves, 1, NULL);
    assert_true(y[0] == 1 && y[1] == 0);
    free(y);
    y = evaluate(build_argmax, &(int){0}, leaves, 1, NULL);
    assert_true(y[0] == 1 && y[1] == 0 && y[2] == 1 && y[3] == 0);
    free(y);
}

static void refuses_more_than_there_are(void **state)
{
    struct gradient_leaf leaves[] = {LEAF(2, 2, 4)};
    assert_string_equal(raised_message(build, &((struct request){TOP_K, 5}), leaves),
                        "top_k: 5 is outside a last axis of [2, 4]");
    assert_string_equal(raised_message(build, &((struct request){TOP_K, -1}), leaves),
                        "top_k: -1 is outside a last axis of [2, 4]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_rows_of_any_length),
        cmocka_unit_test(puts_nan_after_infinity),
        cmocka_unit_test(passes_gradients_to_the_chosen),
        cmocka_unit_test(is_the_same_for_any_number_of_threads),
        cmocka_unit_test(argmax_is_the_first_of_the_largest),
        cmocka_unit_test(refuses_more_than_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
