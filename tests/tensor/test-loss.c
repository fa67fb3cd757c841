#include "base/memory.h"
#include "gradient.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#ifdef CLADE_DOUBLE
static const double value_tolerance = 1e-13;
#else
static const double value_tolerance = 1e-6;
#endif

static tensor *build(struct graph *graph, tensor *const *leaves, const void *argument)
{
    return tensor_cross_entropy(leaves[0], leaves[1]);
}

/* The last position's logits dropped and the first target, as in next-token prediction: strided rows. */
static tensor *build_shifted(struct graph *graph, tensor *const *leaves, const void *argument)
{
    int64_t length = tensor_length(leaves[0], 1) - 1;
    return tensor_cross_entropy(tensor_slice(leaves[0], 1, 0, length), tensor_slice(leaves[1], 1, 1, length));
}

static double expected_loss(const real *logits, const real *targets, int64_t rows, int64_t classes)
{
    double total = 0, count = 0;
    for (int64_t row = 0; row < rows; row++) {
        if (!(targets[row] >= 0))
            continue;
        const real *x = logits + row * classes;
        double largest = -INFINITY, sum = 0;
        for (int64_t i = 0; i < classes; i++)
            largest = fmax(largest, (double)x[i]);
        for (int64_t i = 0; i < classes; i++)
            sum += exp((double)x[i] - largest);
        total += largest + log(sum) - (double)x[(int64_t)targets[row]];
        count++;
    }
    return total / count;
}

static void is_the_mean_over_rows_with_a_target(void **state)
{
    static const real targets[] = {3, -1, 0, 6, -100, (real)NAN, 2, 5};
    for (int classes = 7; classes <= 1000; classes += 331)
        for (int far = 0; far < 2; far++) {
            struct gradient_leaf leaves[] = {LEAF(3, 2, 4, classes), LEAF(2, 2, 4)};
            leaves[0].low = far ? -2000 : -3;
            leaves[0].high = far ? 2000 : 3;
            leaves[1].values = targets;
            real *logits = leaf_values(leaves, 0), *got = evaluate(build, NULL, leaves, 2, NULL);
            double want = expected_loss(logits, targets, 8, classes);
            expect_near(got, &want, 1, value_tolerance);
            free(logits);
            free(got);
        }
}

static void has_its_gradient(void **state)
{
    static const real targets[] = {3, -1, 0, 4, 2, 2};
    struct gradient_leaf leaves[] = {LEAF(3, 2, 3, 5), LEAF(2, 2, 3)};
    leaves[1].values = targets;
    leaves[1].fixed = true;
    check_gradients(build, NULL, leaves);
    check_gradients(build_shifted, NULL, leaves);
}

/* Enough work for several threads, whose bits the checker compares. */
static void has_its_gradient_over_many_classes(void **state)
{
    enum { ROWS = 30, CLASSES = 300 };
    real targets[ROWS];
    for (int i = 0; i < ROWS; i++)
        targets[i] = (real)(i * 37 % CLASSES - 20);
    struct gradient_leaf leaves[] = {LEAF(2, ROWS, CLASSES), LEAF(1, ROWS)};
    leaves[1].values = targets;
    leaves[1].fixed = true;
    check_gradients(build, NULL, leaves);
}

static void is_zero_without_targets(void **state)
{
    static const real targets[] = {-1, -1};
    struct gradient_leaf leaves[] = {LEAF(2, 2, 5), LEAF(1, 2)};
    leaves[1].values = targets;
    leaves[1].fixed = true;
    real *loss = evaluate(build, NULL, leaves, 2, NULL);
    assert_true(loss[0] == 0);
    check_gradients(build, NULL, leaves);
    free(loss);
}

static void refuses_a_target_that_is_no_class(void **state)
{
    static const real targets[] = {4, 5};
    struct gradient_leaf leaves[] = {LEAF(2, 2, 5), LEAF(1, 2)};
    leaves[1].values = targets;
    assert_string_equal(raised_message(build, NULL, leaves),
                        "cross_entropy: target 5 of row 1 is not one of 5 classes");
}

static void refuses_targets_of_another_shape(void **state)
{
    struct gradient_leaf leaves[] = {LEAF(3, 2, 3, 5), LEAF(2, 3, 2)};
    assert_string_equal(raised_message(build, NULL, leaves),
                        "cross_entropy: targets [3, 2] do not fit logits [2, 3, 5]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_the_mean_over_rows_with_a_target),
        cmocka_unit_test(has_its_gradient),
        cmocka_unit_test(has_its_gradient_over_many_classes),
        cmocka_unit_test(is_zero_without_targets),
        cmocka_unit_test(refuses_a_target_that_is_no_class),
        cmocka_unit_test(refuses_targets_of_another_shape),
    };
    return cmocka_run_group_tests_name("loss", tests, NULL, NULL);
}
