#include "base/memory.h"
#include "gradient.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static tensor *sum(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_chosen_sum(leaves[0], leaves[1], leaves[2]);
}

static tensor *products(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_chosen_products(leaves[0], leaves[1], leaves[2]);
}

/* Both functions by their definitions, for a table [rows, width] and [batch, length, choices] indices. */
static void expect_definitions(int64_t rows, int64_t width, int64_t batch, int64_t length, int64_t choices)
{
    int64_t count = batch * length, size;
    real *places = memory_allocate((size_t)(count * choices) * sizeof *places);
    for (int64_t i = 0; i < count * choices; i++)
        places[i] = (real)((i * 7 + i / 3) % rows); /* some rows more than once in one sum */
    struct gradient_leaf leaves[] = {LEAF(2, rows, width), LEAF(3, batch, length, choices),
                                     LEAF(3, batch, length, choices)};
    leaves[1].values = places;
    leaves[1].fixed = true;
    real *table = leaf_values(leaves, 0), *weights = leaf_values(leaves, 2);
    real *y = evaluate(sum, NULL, leaves, 3, &size);
    assert_int_equal(size, count * width);
    double *want = memory_allocate_zero((size_t)(count * (width + choices)), sizeof *want);
    for (int64_t k = 0; k < count * choices; k++)
        for (int64_t j = 0; j < width; j++)
            want[k / choices * width + j] +=
                (double)weights[k] * (double)table[(int64_t)places[k] * width + j];
    expect_near(y, want, size, 1e-5);
    check_gradients(sum, NULL, leaves);
    free(weights);
    free(y);

    leaves[2].shape[2] = width;
    real *x = leaf_values(leaves, 2);
    y = evaluate(products, NULL, leaves, 3, &size);
    assert_int_equal(size, count * choices);
    for (int64_t k = 0; k < size; k++) {
        want[k] = 0;
        for (int64_t j = 0; j < width; j++)
            want[k] += (double)table[(int64_t)places[k] * width + j] * (double)x[k / choices * width + j];
    }
    expect_near(y, want, size, 1e-5);
    check_gradients(products, NULL, leaves);
    free(table);
    free(x);
    free(y);
    free(want);
    free(places);
}

static void sums_and_multiplies_chosen_rows(void **state)
{
    expect_definitions(11, 5, 2, 3, 4);
    expect_definitions(1, 1, 1, 1, 1);
    expect_definitions(6, 70, 1, 2, 67);
}

static void works_on_large_arrays_in_parallel(void **state)
{
    expect_definitions(90, 130, 2, 60, 5);
}

static void refuses_what_does_not_fit(void **state)
{
    static const real low[] = {0, 2, 1}, high[] = {0, 1, 5};
    struct gradient_leaf leaves[] = {
        LEAF(2, 5, 4), {.rank = 2, .shape = {1, 3}, .values = low, .fixed = true}, LEAF(2, 1, 2)};
    assert_string_equal(raised_message(sum, NULL, leaves),
                        "chosen_sum: weights [1, 2] do not fit indices [1, 3]");
    assert_string_equal(raised_message(products, NULL, leaves),
                        "chosen_products: vectors [1, 2] do not fit a table [5, 4]");
    leaves[2].shape[1] = 3;
    leaves[1].values = high;
    assert_string_equal(raised_message(sum, NULL, leaves),
                        "chosen_sum: index 5 is not a whole number from 0 to 4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_and_multiplies_chosen_rows),
        cmocka_unit_test(works_on_large_arrays_in_parallel),
        cmocka_unit_test(refuses_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
