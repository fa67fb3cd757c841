#include "base/memory.h"
#include "gradient.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const int64_t distances[] = {0, 1, 2, 4, -3, 8, 40}; /* some go around, more than once for few rows */

static tensor *build(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_ring_sum(leaves[0], leaves[1], distances);
}

static void expect_definition(int64_t batch, int64_t length, int64_t width, int64_t links)
{
    struct gradient_leaf leaves[] = {LEAF(3, batch, length, width), LEAF(3, batch, length, links)};
    int64_t size;
    real *x = leaf_values(leaves, 0), *w = leaf_values(leaves, 1),
         *y = evaluate(build, NULL, leaves, 2, &size);
    assert_int_equal(size, batch * length * width);
    double *want = memory_allocate((size_t)size * sizeof *want);
    for (int64_t i = 0; i < size; i++) {
        int64_t row = i / width, t = row % length, c = i % width;
        want[i] = 0;
        for (int64_t k = 0; k < links; k++) {
            int64_t from = ((t + distances[k]) % length + length) % length;
            want[i] += (double)w[row * links + k] * (double)x[(row - t + from) * width + c];
        }
    }
    expect_near(y, want, size, 1e-5);
    check_gradients(build, NULL, leaves);
    free(x);
    free(w);
    free(y);
    free(want);
}

static void sums_rows_around_the_ring(void **state)
{
    for (int64_t links = 1; links <= 7; links++)
        expect_definition(2, 11, 5, links);
    expect_definition(1, 3, 4, 7);
    expect_definition(3, 1, 2, 2);
}

static void sums_large_arrays_in_parallel(void **state)
{
    expect_definition(2, 150, 70, 7);
}

static void refuses_weights_that_do_not_fit(void **state)
{
    const struct gradient_leaf short_weights[] = {LEAF(3, 2, 5, 3), LEAF(3, 2, 4, 3)};
    const struct gradient_leaf many[] = {LEAF(3, 2, 5, 3), LEAF(3, 2, 5, 65)};
    assert_string_equal(raised_message(build, NULL, short_weights),
                        "ring_sum: weights [2, 4, 3] do not fit [2, 5, 3], expected [2, 5, at most 64]");
    assert_string_equal(raised_message(build, NULL, many),
                        "ring_sum: weights [2, 5, 65] do not fit [2, 5, 3], expected [2, 5, at most 64]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_rows_around_the_ring),
        cmocka_unit_test(sums_large_arrays_in_parallel),
        cmocka_unit_test(refuses_weights_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
