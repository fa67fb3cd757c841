#include "tensor/vector_math.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#ifdef CLADE_DOUBLE
static const double relative = 1e-15, smallest = 1e-300;
#else
static const double relative = 1.2e-7, smallest = 1.3e-38; /* below that the result is 0 */
#endif

static void has_exponentials_of_what_is_not_positive(void **state)
{
    for (double x = -120; x <= 1e-3; x += 0.00077) {
        real argument = (real)x;
        double got = (double)real_exp_below(argument), want = exp((double)argument);
        assert_true(fabs(got - want) <= relative * want + smallest);
    }
    assert_true(real_exp_below(0) == 1);
    assert_true(real_exp_below((real)-0.0) == 1);
    assert_true(real_exp_below((real)-INFINITY) == 0);
    assert_true(real_exp_below((real)-1e30) == 0);
    assert_true(isnan(real_exp_below((real)NAN)));
}

/* Each quadrant, both signs, and the far positions of long contexts. */
static void has_sines_and_cosines_of_large_angles(void **state)
{
    for (double x = -2e6; x < 2e6; x += 97.13) {
        real angle = (real)x, sine, cosine;
        real_sine_cosine(angle, &sine, &cosine);
        assert_true(fabs((double)sine - sin((double)angle)) < 1.2e-7);
        assert_true(fabs((double)cosine - cos((double)angle)) < 1.2e-7);
    }
    const real odd[] = {(real)NAN, (real)INFINITY, (real)-INFINITY};
    for (int i = 0; i < 3; i++) {
        real sine, cosine;
        real_sine_cosine(odd[i], &sine, &cosine);
        assert_true(isnan(sine) && isnan(cosine));
    }
}

static void has_logarithms_of_one_to_two(void **state)
{
    for (double x = 0; x <= 1; x += 0.0000093) {
        real argument = (real)x;
        double got = (double)real_log1p_of_part(argument), want = log1p((double)argument);
        assert_true(fabs(got - want) <= relative * want);
    }
    for (double x = 1e-30; x < 1; x *= 1.07) {
        real argument = (real)x;
        assert_true(fabs((double)real_log1p_of_part(argument) - log1p((double)argument)) <=
                    relative * (double)argument);
    }
    assert_true(real_log1p_of_part(0) == 0);
    assert_true(isnan(real_log1p_of_part((real)NAN)));
}

static void has_the_softplus_of_any_number(void **state)
{
    for (double x = -80; x <= 80; x += 0.00077) {
        real argument = (real)x;
        double got = (double)real_softplus(argument), t = (double)argument;
        double want = (t > 0 ? t : 0) + log1p(exp(-fabs(t)));
        assert_true(fabs(got - want) <= 2 * relative * want + smallest);
    }
    assert_true(real_softplus((real)INFINITY) == (real)INFINITY);
    assert_true(real_softplus((real)-INFINITY) == 0);
    assert_true(isnan(real_softplus((real)NAN)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_exponentials_of_what_is_not_positive),
        cmocka_unit_test(has_logarithms_of_one_to_two),
        cmocka_unit_test(has_the_softplus_of_any_number),
        cmocka_unit_test(has_sines_and_cosines_of_large_angles),
    };
    return cmocka_run_group_tests_name("vector-math", tests, NULL, NULL);
}
