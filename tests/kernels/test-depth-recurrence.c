/* The universal transformer: appendix C's loop, one token's halting after the other, around a stack of one
 * feed-forward network with a residual; and its properties around attention. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, T = 5, D = 4, HIDDEN = 6, STEPS = 5 };

static void revise(const struct kernel_case *c, double *h)
{
    double units[HIDDEN], out[D];
    case_linear(c, "ffn.up_proj", h, D, units, HIDDEN);
    for (int i = 0; i < HIDDEN; i++)
        units[i] = fmax(units[i], 0);
    case_linear(c, "ffn.down_proj", units, HIDDEN, out, D);
    for (int i = 0; i < D; i++)
        h[i] += out[i];
}

static void add_coordinates(double *h, int t, int n)
{
    for (int j = 0; 2 * j < D; j++) {
        double w = pow(10000, -2.0 * j / D);
        h[2 * j] += sin((t + 1) * w) + sin(n * w);
        h[2 * j + 1] += cos((t + 1) * w) + cos(n * w);
    }
}

static void always(void **state)
{
    (void)state;
    struct kernel_case c;
    double want[B * T * D];
    case_open_stack(
        &c,
        "{\"ffn\": {\"kernel\": \"mlp\", \"hidden\": 6, \"activation\": \"relu\"}, \"memory\": {\"kernel\": "
        "\"depth-recurrence\", \"steps\": 5, \"halting\": false}}",
        B, T, D);
    memcpy(want, c.x, sizeof want);
    for (int t = 0; t < B * T; t++)
        for (int n = 1; n <= STEPS; n++) {
            add_coordinates(want + t * D, t % T, n);
            revise(&c, want + t * D);
        }
    case_expect(&c, want);
    case_expect_steps(&c, want);
    case_close(&c);
}

/* With the fewest and the most steps that a token takes. */
static void expect_halting(const char *json, double threshold, int *fewest, int *most)
{
    struct kernel_case c;
    double want[B * T * D];
    *fewest = STEPS;
    *most = 0;
    case_open_stack(&c, json, B, T, D);
    for (int t = 0; t < B * T; t++) {
        double h[D], *y = want + t * D, spent = 0;
        bool running = true;
        int n = 0;
        memcpy(h, c.x + t * D, sizeof h);
        memset(y, 0, sizeof h);
        while (running && n < STEPS) {
            double p;
            add_coordinates(h, t % T, ++n);
            case_linear(&c, "memory.halting", h, D, &p, 1);
            p = 1 / (1 + exp(-p));
            running = spent + p <= threshold;
            double share = running ? p : 1 - spent;
            spent += p;
            revise(&c, h);
            for (int i = 0; i < D; i++)
                y[i] = share * h[i] + (1 - share) * y[i];
        }
        *fewest = n < *fewest ? n : *fewest;
        *most = n > *most ? n : *most;
    }
    case_expect(&c, want);
    case_expect_steps(&c, want);
    case_close(&c);
}

static void halting(void **state)
{
    (void)state;
    int fewest, most;
    expect_halting(
        "{\"ffn\": {\"kernel\": \"mlp\", \"hidden\": 6, \"activation\": \"relu\"}, \"memory\": {\"kernel\": "
        "\"depth-recurrence\", \"steps\": 5, \"threshold\": 0.2}}",
        0.2, &fewest, &most);
    assert_true(fewest < most);
}

/* Steps are left out when all have halted. */
static void all_halted(void **state)
{
    (void)state;
    int fewest, most;
    expect_halting(
        "{\"ffn\": {\"kernel\": \"mlp\", \"hidden\": 6, \"activation\": \"relu\"}, \"memory\": {\"kernel\": "
        "\"depth-recurrence\", \"steps\": 5, \"threshold\": 0.03}}",
        0.03, &fewest, &most);
    assert_true(most < STEPS);
}

static void properties(void **state)
{
    (void)state;
    case_expect_stack_properties("{\"mixer\": {\"kernel\": \"attention\", \"heads\": 2}, \"ffn\": "
                                 "{\"kernel\": \"mlp\"}, \"norm\": {\"kernel\": "
                                 "\"layernorm\", \"placement\": \"post\"}, \"memory\": {\"kernel\": "
                                 "\"depth-recurrence\", \"steps\": 3}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(always),
        cmocka_unit_test(halting),
        cmocka_unit_test(all_halted),
        cmocka_unit_test(properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
