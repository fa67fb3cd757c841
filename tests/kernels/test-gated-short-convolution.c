/* Based's convolution layer against its sums. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, T = 9, D = 4, INNER = 8, TAPS = 3 };

static void gates_a_short_sum(void **state)
{
    (void)state;
    struct kernel_case c;
    double want[B * T * D], u[T * 2 * INNER], h[INNER];
    case_open(&c,
              "{\"mixer\": {\"kernel\": \"gated-short-convolution\", \"expand\": 2, \"conv_bias\": true}}", B,
              T, D);
    const real *w = case_values(&c, "conv.conv.weight"), *bias = case_values(&c, "conv.conv.bias");
    for (int b = 0; b < B; b++) {
        for (int t = 0; t < T; t++)
            case_linear(&c, "in_proj", c.x + (b * T + t) * D, D, u + t * 2 * INNER, 2 * INNER);
        for (int t = 0; t < T; t++) {
            for (int i = 0; i < INNER; i++) {
                double sum = (double)bias[i];
                for (int j = 0; j < TAPS && j <= t; j++)
                    sum += (double)w[i * TAPS + TAPS - 1 - j] * u[(t - j) * 2 * INNER + i];
                h[i] = sum / (1 + exp(-sum)) * u[t * 2 * INNER + INNER + i];
            }
            case_linear(&c, "out_proj", h, INNER, want + (b * T + t) * D, D);
        }
    }
    case_expect(&c, want);
    case_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(gates_a_short_sum)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
