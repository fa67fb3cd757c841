/* HiPPO's memory and the gated unit around it against the scaled-Legendre recurrence, with its matrices
 * written out. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { BATCH = 2, LENGTH = 11, WIDTH = 5, STATES = 4 };

static double entry_of_A(int64_t n, int64_t k)
{
    return n > k ? -sqrt((double)((2 * n + 1) * (2 * k + 1))) : n == k ? -(double)(n + 1) : 0;
}

/* c := (1 - A / 2t)^-1 ((1 + A / 2t) c + B f / t); A is lower triangular. */
static void remember(double c[STATES], double f, double t)
{
    double right[STATES];
    for (int64_t n = 0; n < STATES; n++) {
        right[n] = c[n] + sqrt((double)(2 * n + 1)) * f / t;
        for (int64_t k = 0; k <= n; k++)
            right[n] += entry_of_A(n, k) / (2 * t) * c[k];
    }
    for (int64_t n = 0; n < STATES; n++) {
        for (int64_t k = 0; k < n; k++)
            right[n] += entry_of_A(n, k) / (2 * t) * c[k];
        c[n] = right[n] / (1 - entry_of_A(n, n) / (2 * t));
    }
}

static void keeps_each_channel(void **state)
{
    static const char mixer[] = "{\"mixer\": {\"kernel\": \"polynomial-projection\", \"state\": 4}}";
    struct kernel_case run;
    double want[BATCH * LENGTH * WIDTH];
    case_open(&run, mixer, BATCH, LENGTH, WIDTH);
    const real *readout = case_values(&run, "readout");
    for (int64_t b = 0; b < BATCH; b++)
        for (int64_t d = 0; d < WIDTH; d++) {
            double c[STATES] = {0};
            for (int64_t t = 0; t < LENGTH; t++) {
                int64_t at = (b * LENGTH + t) * WIDTH + d;
                remember(c, run.x[at], (double)(t + 1));
                want[at] = 0;
                for (int64_t n = 0; n < STATES; n++)
                    want[at] += (double)readout[d * STATES + n] * c[n];
            }
        }
    case_expect(&run, want);
    case_close(&run);
    case_expect_properties(mixer);
}

/* However a step is taken, with and without a readout, step by step as at once. */
static void steps_in_every_way(void **state)
{
    static const char *const ways[] = {"\"discretization\": \"forward\"", "\"discretization\": \"backward\"",
                                       "\"discretization\": \"zoh\"", "\"measure\": \"legt\", \"dt\": 0.1",
                                       "\"measure\": \"legt\", \"discretization\": \"zoh\""};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char mixer[200];
        snprintf(mixer, sizeof mixer,
                 "{\"mixer\": {\"kernel\": \"polynomial-projection\", \"state\": 3, %s}}", ways[i]);
        case_expect_properties(mixer);
    }
}

static void is_the_memory_of_a_gated_unit(void **state)
{
    static const char mixer[] =
        "{\"mixer\": {\"kernel\": \"polynomial-projection\", \"state\": 4, \"cell\": true}}";
    struct kernel_case run;
    double want[BATCH * LENGTH * WIDTH];
    case_open(&run, mixer, BATCH, LENGTH, WIDTH);
    const real *of_h = case_values(&run, "maps.h"), *of_c = case_values(&run, "maps.c"),
               *feature = case_values(&run, "feature");
    for (int64_t b = 0; b < BATCH; b++) {
        double h[WIDTH] = {0}, c[STATES] = {0}, sums[2 * WIDTH];
        for (int64_t t = 0; t < LENGTH; t++) {
            int64_t at = (b * LENGTH + t) * WIDTH;
            case_linear(&run, "maps.x", run.x + at, WIDTH, sums, 2 * WIDTH);
            for (int64_t o = 0; o < 2 * WIDTH; o++) {
                for (int64_t i = 0; i < WIDTH; i++)
                    sums[o] += (double)of_h[o * WIDTH + i] * h[i];
                for (int64_t n = 0; n < STATES; n++)
                    sums[o] += (double)of_c[o * STATES + n] * c[n];
            }
            double f = 0;
            for (int64_t i = 0; i < WIDTH; i++) {
                double gate = 1 / (1 + exp(-sums[WIDTH + i]));
                want[at + i] = h[i] = (1 - gate) * h[i] + gate * tanh(sums[i]);
                f += (double)feature[i] * h[i];
            }
            remember(c, f, (double)(t + 1));
        }
    }
    case_expect(&run, want);
    case_close(&run);
    case_expect_properties(mixer);
    case_expect_properties(
        "{\"mixer\": {\"kernel\": \"polynomial-projection\", \"state\": 6, \"cell\": true, "
        "\"measure\": \"legt\", \"dt\": 0.1}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_each_channel),
        cmocka_unit_test(steps_in_every_way),
        cmocka_unit_test(is_the_memory_of_a_gated_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
