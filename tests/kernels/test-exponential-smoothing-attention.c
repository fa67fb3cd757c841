/* ETSformer's growth against the matrix of powers that defines it. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, T = 11, D = 6, HEADS = 3 };

/* h_t = sum_{s<=t} (1 - a) a^{t-s} (z_s - z_{s-1}) + a^{t+1} v0 (eq. 8 and 9), every power by itself. */
static void is_a_matrix_of_powers(void **state)
{
    (void)state;
    struct kernel_case c;
    double want[B * T * D], z[(T + 1) * D], h[D];
    case_open(&c, "{\"mixer\": {\"kernel\": \"exponential-smoothing-attention\", \"heads\": 3}}", B, T, D);
    const real *z0 = case_values(&c, "z0"), *v0 = case_values(&c, "es.v0"),
               *rate = case_values(&c, "es._smoothing_weight");
    for (int b = 0; b < B; b++) {
        for (int i = 0; i < D; i++)
            z[i] = (double)z0[i];
        for (int t = 0; t < T; t++)
            case_linear(&c, "in_proj", c.x + (b * T + t) * D, D, z + (t + 1) * D, D);
        for (int t = 0; t < T; t++) {
            for (int i = 0; i < D; i++) {
                double a = 1 / (1 + exp(-(double)rate[i / (D / HEADS)]));
                h[i] = pow(a, t + 1) * (double)v0[i];
                for (int s = 0; s <= t; s++)
                    h[i] += (1 - a) * pow(a, t - s) * (z[(s + 1) * D + i] - z[s * D + i]);
            }
            case_linear(&c, "out_proj", h, D, want + (b * T + t) * D, D);
        }
    }
    case_expect(&c, want);
    case_close(&c);
}

static void has_its_properties(void **state)
{
    (void)state;
    case_expect_properties("{\"mixer\": {\"kernel\": \"exponential-smoothing-attention\", \"heads\": 4}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_a_matrix_of_powers),
        cmocka_unit_test(has_its_properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
