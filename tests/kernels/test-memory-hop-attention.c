/* Memory networks: hop after hop, item by item. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, T = 9, D = 6, WINDOW = 4, HOPS = 3 };

static void want_state(const struct kernel_case *c, const double *x, int t, int straight, bool question,
                       double *u)
{
    const real *ta = case_values(c, "TA"), *tc = case_values(c, "TC");
    for (int i = 0; i < D; i++)
        u[i] = 0.1;
    if (question)
        case_linear(c, "B", x + t * D, D, u, D);
    for (int hop = 0; hop < HOPS; hop++) {
        double o[D] = {0}, next[D], sum = 0;
        for (int n = 0; n < WINDOW && n <= t; n++) {
            double m[D], value[D], score = 0;
            case_linear(c, "A", x + (t - n) * D, D, m, D);
            case_linear(c, "C", x + (t - n) * D, D, value, D);
            for (int i = 0; i < D; i++)
                score += u[i] * (m[i] + (double)ta[n * D + i]);
            sum += exp(score);
            for (int i = 0; i < D; i++)
                o[i] += exp(score) * (value[i] + (double)tc[n * D + i]);
        }
        case_linear(c, "H", u, D, next, D);
        for (int i = 0; i < D; i++) {
            u[i] = next[i] + o[i] / sum;
            if (i >= straight)
                u[i] = fmax(u[i], 0);
        }
    }
}

static void expect_hops(const char *json, int straight, bool question)
{
    struct kernel_case c;
    double want[B * T * D];
    case_open(&c, json, B, T, D);
    for (int b = 0; b < B; b++)
        for (int t = 0; t < T; t++)
            want_state(&c, c.x + b * T * D, t, straight, question, want + (b * T + t) * D);
    case_expect(&c, want);
    case_expect_steps(&c, want);
    case_close(&c);
}

static void language_model(void **state)
{
    (void)state;
    expect_hops("{\"mixer\": {\"kernel\": \"memory-hop-attention\", \"window\": 4, \"hops\": 3}}", D / 2,
                false);
}

static void questions(void **state)
{
    (void)state;
    expect_hops(
        "{\"mixer\": {\"kernel\": \"memory-hop-attention\", \"window\": 4, \"hops\": 3, \"linear\": 0, "
        "\"question\": true}}",
        0, true);
}

static void properties(void **state)
{
    (void)state;
    case_expect_properties(
        "{\"mixer\": {\"kernel\": \"memory-hop-attention\", \"hops\": 2, \"question\": true}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(language_model),
        cmocka_unit_test(questions),
        cmocka_unit_test(properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
