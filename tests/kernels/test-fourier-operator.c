/* The Fourier operator against its definition, sum by sum. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, D = 5, MODES = 3 };

/* y = act(F^-1(R_k F(x)_k) + W x + b): real inputs, so each kept frequency but the first (and the middle one)
 * counts twice. */
static void definition(const struct kernel_case *c, double *y)
{
    const real *R = case_values(c, "conv.weights1"), *W = case_values(c, "w.weight"),
               *b = case_values(c, "w.bias");
    int64_t T = c->length;
    for (int64_t n = 0; n < B; n++)
        for (int64_t t = 0; t < T; t++)
            for (int o = 0; o < D; o++) {
                double sum = (double)b[o];
                for (int i = 0; i < D; i++)
                    sum += (double)W[o * D + i] * c->x[(n * T + t) * D + i];
                for (int64_t k = 0; k < MODES && k <= T / 2; k++) {
                    double re = 0, im = 0, twice = k == 0 || 2 * k == T ? 1 : 2;
                    for (int i = 0; i < D; i++) {
                        const real *r = R + ((i * D + o) * MODES + k) * 2;
                        for (int64_t s = 0; s < T; s++) {
                            double angle = -2 * M_PI * (double)(k * s) / (double)T,
                                   x = c->x[(n * T + s) * D + i];
                            re += x * (cos(angle) * (double)r[0] - sin(angle) * (double)r[1]);
                            im += x * (sin(angle) * (double)r[0] + cos(angle) * (double)r[1]);
                        }
                    }
                    double angle = 2 * M_PI * (double)(k * t) / (double)T;
                    sum += twice * (re * cos(angle) - im * sin(angle)) / (double)T;
                }
                y[(n * T + t) * D + o] = sum > 0 ? sum : 0;
            }
}

static void is_a_product_in_the_spectrum(void **state)
{
    static const int64_t lengths[] = {1, 4, 5, 12, 13};
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct kernel_case c;
        double want[B * 13 * D];
        case_open(&c,
                  "{\"mixer\": {\"kernel\": \"fourier-operator\", \"modes\": 3, \"activation\": \"relu\"}}",
                  B, lengths[i], D);
        definition(&c, want);
        case_expect(&c, want);
        case_close(&c);
    }
}

static void has_its_properties(void **state)
{
    (void)state;
    case_expect_properties("{\"mixer\": {\"kernel\": \"fourier-operator\"}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_a_product_in_the_spectrum),
        cmocka_unit_test(has_its_properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
