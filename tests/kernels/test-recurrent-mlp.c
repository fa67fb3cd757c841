/* A recurrence in the feed-forward network, token by token and some tokens at a time. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, T = 7, D = 4, HIDDEN = 5 };

static void expect_recurrence(const char *json, int k)
{
    struct kernel_case c;
    double want[B * T * D], memory[T][HIDDEN];
    case_open(&c, json, B, T, D);
    const real *bias = case_values(&c, "bias_c");
    for (int b = 0; b < B; b++)
        for (int t = 0; t < T; t++) {
            const double *x = c.x + (b * T + t) * D;
            double u[HIDDEN], gate[HIDDEN], hidden[HIDDEN];
            case_linear(&c, "w1", x, D, u, HIDDEN);
            case_linear(&c, "w2", x, D, gate, HIDDEN);
            for (int i = 0; i < HIDDEN; i++) {
                double z = (t < k ? 0 : memory[t - k][i]) - u[i];
                memory[t][i] = z / (1 + exp(-z)) + u[i];
                hidden[i] = (memory[t][i] + (double)bias[i]) / (1 + exp(-gate[i]));
            }
            case_linear(&c, "w3", hidden, HIDDEN, want + (b * T + t) * D, D);
        }
    case_expect(&c, want);
    case_expect_steps(&c, want);
    case_close(&c);
}

static void token_by_token(void **state)
{
    (void)state;
    expect_recurrence("{\"ffn\": {\"kernel\": \"recurrent-mlp\", \"hidden\": 5}}", 1);
}

static void in_groups(void **state)
{
    (void)state;
    expect_recurrence("{\"ffn\": {\"kernel\": \"recurrent-mlp\", \"hidden\": 5, \"group\": 3}}", 3);
}

static void properties(void **state)
{
    (void)state;
    case_expect_properties("{\"ffn\": {\"kernel\": \"recurrent-mlp\"}}");
    case_expect_properties("{\"ffn\": {\"kernel\": \"recurrent-mlp\", \"group\": 2}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(token_by_token),
        cmocka_unit_test(in_groups),
        cmocka_unit_test(properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
