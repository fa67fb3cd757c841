/* tensor_cauchy against the fractions that it sums, and its gradients. */
#include "gradient.h"
#include <complex.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const double tolerance = sizeof(real) == 4 ? 1e-4 : 1e-11;

static tensor *build(struct graph *graph, tensor *const *leaves, const void *argument)
{
    (void)graph;
    /* Poles well inside the left half plane. */
    tensor *a = tensor_concat(2,
                              (tensor *[]){tensor_affine(tensor_slice(leaves[1], 2, 0, 1), 0.5, -1),
                                           tensor_slice(leaves[1], 2, 1, 1)},
                              2);
    return tensor_cauchy(leaves[0], a, *(const int64_t *)argument);
}

static void sums_the_fractions(void **state)
{
    for (int64_t length = 1; length <= 400; length = 3 * length + 1) {
        enum { SYSTEMS = 2, SUMS = 3, MODES = 5 };
        struct gradient_leaf leaves[] = {LEAF(4, SYSTEMS, SUMS, MODES, 2), LEAF(3, SYSTEMS, MODES, 2)};
        real *q = leaf_values(leaves, 0), *a = leaf_values(leaves, 1);
        int64_t size, frequencies = length / 2 + 1;
        real *got = evaluate(build, &length, leaves, 2, &size);
        assert_int_equal(size, SYSTEMS * SUMS * frequencies * 2);
        double *want = malloc((size_t)size * sizeof *want);
        for (int64_t i = 0; i < SYSTEMS * SUMS * frequencies; i++) {
            int64_t h = i / frequencies / SUMS, row = i / frequencies, k = i % frequencies;
            double angle = M_PI * (double)k / (double)length;
            double complex sum = 0, p = 2 * I * sin(angle);
            for (int64_t n = 0; n < MODES; n++) {
                const real *qn = q + (row * MODES + n) * 2, *an = a + (h * MODES + n) * 2;
                double complex number = (double)qn[0] + I * (double)qn[1];
                double complex pole = 0.5 * (double)an[0] - 1 + I * (double)an[1];
                sum += number / (p - pole * cos(angle)) + conj(number) / (p - conj(pole) * cos(angle));
            }
            want[2 * i] = creal(sum), want[2 * i + 1] = cimag(sum);
        }
        expect_near(got, want, size, tolerance);
        free(want);
        free(got);
        free(q);
        free(a);
    }
}

static void has_the_right_gradients(void **state)
{
    for (int64_t length = 1; length <= 300; length += 149) {
        struct gradient_leaf leaves[] = {LEAF(4, 2, 2, 3, 2), LEAF(3, 2, 3, 2)};
        check_gradients(build, &length, leaves);
    }
}

static void refuses_shapes_that_do_not_fit(void **state)
{
    int64_t length = 4;
    struct gradient_leaf leaves[] = {LEAF(4, 2, 2, 3, 2), LEAF(3, 2, 4, 2)};
    assert_string_equal(raised_message(build, &length, leaves),
                        "cauchy: expected poles [H, N, 2] of the numerators' H and N, got [2, 4, 2]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_the_fractions),
        cmocka_unit_test(has_the_right_gradients),
        cmocka_unit_test(refuses_shapes_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
