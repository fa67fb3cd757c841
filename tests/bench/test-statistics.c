#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/statistics.h"
#include <cmocka.h>
#include <math.h>

static void assert_near(double value, double expected, double distance)
{
    if (!(fabs(value - expected) <= distance))
        fail_msg("%g is not %g", value, expected);
}

static void quantiles_lie_between_samples(void **state)
{
    (void)state;
    const double samples[] = {4, 1, 3, 2};
    assert_near(statistics_median(samples, 4), 2.5, 1e-12);
    assert_near(statistics_quantile(samples, 4, 0), 1, 0);
    assert_near(statistics_quantile(samples, 4, 1), 4, 0);
    assert_near(statistics_spread(samples, 4), 1.5, 1e-12);
}

static void one_sample_has_no_spread(void **state)
{
    (void)state;
    const double sample = 7;
    assert_near(statistics_median(&sample, 1), 7, 0);
    assert_near(statistics_spread(&sample, 1), 0, 0);
}

static void nothing_has_no_median(void **state)
{
    (void)state;
    assert_true(isnan(statistics_median(NULL, 0)));
}

static void outliers_do_not_move_the_median(void **state)
{
    (void)state;
    const double quiet[] = {1, 1, 1, 1, 1}, disturbed[] = {1, 1, 1, 1, 1e6};
    assert_near(statistics_median(quiet, 5), statistics_median(disturbed, 5), 0);
}

static void the_median_lies_in_its_range(void **state)
{
    (void)state;
    double samples[100], low, high;
    for (int i = 0; i < 100; i++) /* all of 0 to 99, out of order; the largest ones far off */
        samples[i] = (i * 37) % 100 < 75 ? (i * 37) % 100 : 1e6;
    statistics_median_range(samples, 100, &low, &high);
    assert_near(low, 40, 1e-9);
    assert_near(high, 59, 1e-9);
    statistics_median_range(samples, 8, &low, &high); /* 0 37 74 11 48 1e6 22 59 */
    assert_near(low, 11, 1e-9);
    assert_near(high, 74, 1e-9);
    statistics_median_range(samples, 5, &low, &high);
    assert_near(low, 0, 1e-9);
    assert_near(high, 74, 1e-9);
    statistics_median_range(samples, 1, &low, &high);
    assert_near(low, 0, 0);
    assert_near(high, 0, 0);
}

static void exponent_of_a_power_is_found(void **state)
{
    (void)state;
    const double x[] = {256, 1024, 4096}, linear[] = {3e-3, 12e-3, 48e-3}, square[] = {1, 16, 256};
    assert_near(statistics_exponent(x, linear, 3), 1, 1e-9);
    assert_near(statistics_exponent(x, square, 3), 2, 1e-9);
}

static void one_length_has_no_exponent(void **state)
{
    (void)state;
    const double x[] = {256, 256}, y[] = {1, 2};
    assert_true(isnan(statistics_exponent(x, y, 2)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_lie_between_samples), cmocka_unit_test(one_sample_has_no_spread),
        cmocka_unit_test(nothing_has_no_median),         cmocka_unit_test(outliers_do_not_move_the_median),
        cmocka_unit_test(the_median_lies_in_its_range),  cmocka_unit_test(exponent_of_a_power_is_found),
        cmocka_unit_test(one_length_has_no_exponent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
