#include "gradient.h"
#include <complex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#undef I

static tensor *multiply(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_complex_multiply(leaves[0], leaves[1]);
}

static tensor *square(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_complex_multiply(leaves[0], leaves[0]);
}

/* i * i, (1 + 2i)(3 + 4i) and so on, by hand. */
static void multiplies_complex_numbers(void **state)
{
    const real a[] = {0, 1, 1, 2, -1, 0.5, 2, 0}, b[] = {0, 1, 3, 4, 2, -2, 0.25, -8};
    const double want[] = {-1, 0, -5, 10, -1, 3, 0.5, -16};
    struct gradient_leaf leaves[] = {{.rank = 2, .shape = {4, 2}, .values = a},
                                     {.rank = 2, .shape = {4, 2}, .values = b}};
    real *got = evaluate(multiply, NULL, leaves, 2, NULL);
    expect_near(got, want, 8, 0);
    free(got);
}

/* Where operands broadcast: against C's own complex product, entry by entry. */
static void broadcasts(void **state)
{
    static const struct gradient_leaf cases[][2] = {
        {LEAF(3, 5, 7, 2), LEAF(3, 5, 7, 2)},
        {LEAF(4, 3, 5, 7, 2), LEAF(3, 5, 7, 2)},
        {LEAF(4, 3, 5, 7, 2), LEAF(3, 5, 1, 2)},
        {LEAF(4, 3, 1, 7, 2), LEAF(4, 3, 5, 1, 2)},
        {LEAF(1, 2), LEAF(3, 5, 7, 2)},
        {LEAF(1, 2), LEAF(1, 2)},
        {LEAF(5, 2, 3, 1, 4, 2), LEAF(4, 1, 3, 4, 2)},
        {LEAF(3, 1, 4001, 2), LEAF(3, 3, 1, 2)},
    };
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        const struct gradient_leaf *leaves = cases[at];
        int64_t size, shape[TENSOR_MAX_RANK],
            rank = leaves[0].rank > leaves[1].rank ? leaves[0].rank : leaves[1].rank;
        real *got = evaluate(multiply, NULL, leaves, 2, &size);
        real *values[2] = {leaf_values(leaves, 0), leaf_values(leaves, 1)};
        double *want = malloc((size_t)size * sizeof *want);
        int64_t numbers = 1;
        for (int64_t i = 0; i < rank - 1; i++) {
            shape[i] = 1;
            for (int o = 0; o < 2; o++) {
                int64_t axis = i - (rank - leaves[o].rank);
                if (axis >= 0 && leaves[o].shape[axis] > 1)
                    shape[i] = leaves[o].shape[axis];
            }
            numbers *= shape[i];
        }
        assert_int_equal(size, 2 * numbers);
        for (int64_t n = 0; n < numbers; n++) {
            double complex factors[2];
            for (int o = 0; o < 2; o++) {
                int64_t place = 0, step = 1, rest = n;
                for (int64_t i = rank - 2; i >= 0; i--) {
                    int64_t index = rest % shape[i], axis = i - (rank - leaves[o].rank);
                    rest /= shape[i];
                    if (axis < 0)
                        continue;
                    place += leaves[o].shape[axis] > 1 ? index * step : 0;
                    step *= leaves[o].shape[axis];
                }
                factors[o] = CMPLX((double)values[o][2 * place], (double)values[o][2 * place + 1]);
            }
            double complex product = factors[0] * factors[1];
            want[2 * n] = creal(product);
            want[2 * n + 1] = cimag(product);
        }
        expect_near(got, want, size, sizeof(real) == 4 ? 1e-6 : 1e-14);
        free(got);
        free(want);
        free(values[0]);
        free(values[1]);
    }
}

static void has_the_gradient_of_a_product(void **state)
{
    struct gradient_leaf same[] = {LEAF(3, 3, 5, 2), LEAF(3, 3, 5, 2)};
    struct gradient_leaf outer[] = {LEAF(4, 3, 5, 7, 2), LEAF(3, 5, 7, 2)};
    struct gradient_leaf inner[] = {LEAF(3, 5, 1, 2), LEAF(4, 3, 5, 7, 2)};
    struct gradient_leaf crossed[] = {LEAF(4, 3, 1, 7, 2), LEAF(4, 3, 5, 1, 2)};
    struct gradient_leaf constant[] = {LEAF(1, 2), LEAF(2, 9, 2)};
    struct gradient_leaf fixed[] = {LEAF(2, 4, 2), {.rank = 2, .shape = {4, 2}, .fixed = true}};
    struct gradient_leaf twice[] = {LEAF(3, 3, 5, 2)};
    struct gradient_leaf wide[] = {LEAF(3, 1, 4001, 2), LEAF(3, 3, 1, 2)};
    check_gradients(multiply, NULL, same);
    check_gradients(multiply, NULL, outer);
    check_gradients(multiply, NULL, inner);
    check_gradients(multiply, NULL, crossed);
    check_gradients(multiply, NULL, constant);
    check_gradients(multiply, NULL, fixed);
    check_gradients(square, NULL, twice);
    check_gradients(multiply, NULL, wide);
}

static void refuses_what_is_not_complex(void **state)
{
    struct gradient_leaf three[] = {LEAF(2, 4, 3), LEAF(2, 4, 2)};
    struct gradient_leaf unequal[] = {LEAF(3, 4, 5, 2), LEAF(3, 4, 6, 2)};
    assert_string_equal(raised_message(multiply, NULL, three),
                        "complex_multiply: expected a last axis of (real, imaginary), got [4, 3]");
    assert_non_null(
        strstr(raised_message(multiply, NULL, unequal), "complex_multiply: expected a shape that"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multiplies_complex_numbers),
        cmocka_unit_test(broadcasts),
        cmocka_unit_test(has_the_gradient_of_a_product),
        cmocka_unit_test(refuses_what_is_not_complex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
