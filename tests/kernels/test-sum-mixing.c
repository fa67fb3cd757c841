/* Sumformer against its definition: psi of a token and of the sum of phi over all. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, T = 6, D = 4, FEATURES = 3, HIDDEN = 5 };

/* Two hidden layers. */
static void network(const struct kernel_case *c, const char *first, const char *second, const char *last,
                    const double *x, int64_t inputs, double *y, int64_t outputs)
{
    double a[HIDDEN], b[HIDDEN];
    case_linear(c, first, x, inputs, a, HIDDEN);
    for (int i = 0; i < HIDDEN; i++)
        a[i] = fmax(a[i], 0);
    case_linear(c, second, a, HIDDEN, b, HIDDEN);
    for (int i = 0; i < HIDDEN; i++)
        b[i] = fmax(b[i], 0);
    case_linear(c, last, b, HIDDEN, y, outputs);
}

static void expect_sum(const char *json, bool causal)
{
    struct kernel_case c;
    double want[B * T * D];
    case_open(&c, json, B, T, D);
    for (int b = 0; b < B; b++)
        for (int t = 0; t < T; t++) {
            double joined[D + FEATURES] = {0}, own[FEATURES];
            memcpy(joined, c.x + (b * T + t) * D, D * sizeof *joined);
            for (int k = 0; k < (causal ? t + 1 : T); k++) {
                network(&c, "phi.0", "phi.1", "phi.2", c.x + (b * T + k) * D, D, own, FEATURES);
                for (int i = 0; i < FEATURES; i++)
                    joined[D + i] += own[i];
            }
            network(&c, "psi.0", "psi.1", "psi.2", joined, D + FEATURES, want + (b * T + t) * D, D);
        }
    case_expect(&c, want);
    if (causal)
        case_expect_steps(&c, want);
    case_close(&c);
}

static void all_tokens(void **state)
{
    (void)state;
    expect_sum("{\"mixer\": {\"kernel\": \"sum-mixing\", \"features\": 3, \"hidden\": 5, \"depth\": 2}}",
               false);
}

static void earlier_tokens(void **state)
{
    (void)state;
    expect_sum("{\"mixer\": {\"kernel\": \"sum-mixing\", \"features\": 3, \"hidden\": 5, \"depth\": 2, "
               "\"causal\": true}}",
               true);
}

static void properties(void **state)
{
    (void)state;
    case_expect_properties("{\"mixer\": {\"kernel\": \"sum-mixing\", \"causal\": true}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_tokens),
        cmocka_unit_test(earlier_tokens),
        cmocka_unit_test(properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
