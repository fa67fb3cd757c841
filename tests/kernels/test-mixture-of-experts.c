/* The sparsely gated mixture of experts: every expert in full, weighted by the gate's definition. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, T = 5, D = 6, N = 7, K = 3, HIDDEN = 4 };

static double product(const double *x, const real *matrix, int column)
{
    double sum = 0;
    for (int i = 0; i < D; i++)
        sum += x[i] * (double)matrix[i * N + column];
    return sum;
}

static const real *values(const struct kernel_case *c, const char *prefix, const char *name)
{
    char full[64];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    return case_values(c, full);
}

static void want_token(const struct kernel_case *c, const char *prefix, const double *x, const double *noise,
                       double *y)
{
    const real *w_gate = values(c, prefix, "w_gate"), *in = values(c, prefix, "w_in"),
               *out = values(c, prefix, "w_out");
    double h[N], sum = 0;
    for (int i = 0; i < N; i++) {
        h[i] = product(x, w_gate, i);
        if (noise)
            h[i] += noise[i] * log(1 + exp(product(x, values(c, prefix, "w_noise"), i)));
    }
    memset(y, 0, D * sizeof *y);
    for (int i = 0; i < N; i++) {
        int better = 0;
        for (int j = 0; j < N; j++)
            better += h[j] > h[i];
        if (better >= K)
            continue;
        sum += exp(h[i]);
        for (int n = 0; n < HIDDEN; n++) {
            double unit = 0;
            for (int d = 0; d < D; d++)
                unit += x[d] * (double)in[(i * HIDDEN + n) * D + d];
            for (int d = 0; d < D; d++)
                y[d] += exp(h[i]) * fmax(unit, 0) * (double)out[(i * HIDDEN + n) * D + d];
        }
    }
    for (int d = 0; d < D; d++)
        y[d] /= sum;
}

static void quiet(void **state)
{
    (void)state;
    struct kernel_case c;
    double want[B * T * D];
    case_open(&c,
              "{\"ffn\": {\"kernel\": \"mixture-of-experts\", \"experts\": 7, \"chosen\": 3, \"hidden\": 4}}",
              B, T, D);
    for (int t = 0; t < B * T; t++)
        want_token(&c, "", c.x + t * D, NULL, want + t * D);
    case_expect(&c, want);
    case_expect_steps(&c, want);
    case_close(&c);
}

static void noisy(void **state)
{
    (void)state;
    struct kernel_case c;
    double want[B * T * D], noise[B * T * N];
    for (int i = 0; i < B * T * N; i++)
        noise[i] = sin(12.9 * i + 1) * 1.5;
    const struct case_input inputs[] = {{"noise", 3, {B, T, N}, noise}};
    case_open_with_inputs(&c,
                          "{\"ffn\": {\"kernel\": \"mixture-of-experts\", \"experts\": 7, \"chosen\": 3, "
                          "\"hidden\": 4, \"squashed\": true}}",
                          B, T, D, inputs, 1);
    for (int t = 0; t < B * T; t++) {
        want_token(&c, "ffn.", c.x + t * D, noise + t * N, want + t * D);
        for (int d = 0; d < D; d++)
            want[t * D + d] = c.x[t * D + d] + 1 / (1 + exp(-want[t * D + d]));
    }
    case_expect(&c, want);
    case_close(&c);
}

static void properties(void **state)
{
    (void)state;
    case_expect_properties("{\"ffn\": {\"kernel\": \"mixture-of-experts\", \"experts\": 5, \"chosen\": 2}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quiet),
        cmocka_unit_test(noisy),
        cmocka_unit_test(properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
