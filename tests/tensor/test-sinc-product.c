#include "base/memory.h"
#include "gradient.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static tensor *build(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_sinc_product(leaves[0], leaves[1], leaves[2]);
}

static void expect_definition(int64_t batch, int64_t heads, int64_t rows, int64_t columns, int64_t width)
{
    struct gradient_leaf leaves[] = {LEAF(4, batch, heads, rows, width),
                                     LEAF(4, batch, heads, columns, width), LEAF(1, 1)};
    int64_t size;
    real *q = leaf_values(leaves, 0), *k = leaf_values(leaves, 1), *rate = leaf_values(leaves, 2),
         *y = evaluate(build, NULL, leaves, 3, &size);
    assert_int_equal(size, batch * heads * rows * columns);
    double *want = memory_allocate((size_t)size * sizeof *want);
    for (int64_t n = 0; n < size; n++) {
        int64_t head = n / (rows * columns), t = n / columns, s = n % columns;
        want[n] = 1;
        for (int64_t i = 0; i < width; i++) {
            double z = (double)*rate * (double)(q[t * width + i] - k[(head * columns + s) * width + i]);
            want[n] *= z == 0 ? 1 : sin(z) / z;
        }
    }
    expect_near(y, want, size, 1e-5);
    check_gradients(build, NULL, leaves);
    free(q);
    free(k);
    free(rate);
    free(y);
    free(want);
}

static void multiplies_over_channels(void **state)
{
    expect_definition(2, 3, 5, 7, 4);
    expect_definition(1, 1, 1, 1, 1);
    expect_definition(1, 2, 17, 33, 9);
}

static tensor *with_itself(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_sinc_product(leaves[0], leaves[0], leaves[1]);
}

static void is_one_where_nothing_differs(void **state)
{
    const struct gradient_leaf leaves[] = {LEAF(4, 1, 1, 5, 3), LEAF(1, 1)};
    int64_t size;
    real *y = evaluate(with_itself, NULL, leaves, 2, &size);
    for (int64_t i = 0; i < 5; i++)
        assert_true(y[i * 5 + i] == 1);
    check_gradients(with_itself, NULL, leaves);
    free(y);
}

static void refuses_keys_that_do_not_fit(void **state)
{
    const struct gradient_leaf leaves[] = {LEAF(4, 1, 2, 5, 3), LEAF(4, 1, 2, 5, 4), LEAF(1, 1)};
    assert_string_equal(raised_message(build, NULL, leaves),
                        "sinc_product: keys [1, 2, 5, 4] do not fit queries [1, 2, 5, 3]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multiplies_over_channels),
        cmocka_unit_test(is_one_where_nothing_differs),
        cmocka_unit_test(refuses_keys_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
