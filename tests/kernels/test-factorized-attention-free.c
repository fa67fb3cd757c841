/* DAFT against the sums of its definition over all pairs, channel by channel. */
#include "base/memory.h"
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { B = 2, D = 3, RANK = 4, LENGTH = 600 };

/* What one channel of one token is: the average of v by exp(k + w), with the largest exponent taken out. */
static double average(const struct kernel_case *c, const double *k, const double *v, int64_t t, int64_t seen,
                      int channel)
{
    const real *a = case_values(c, "query_position"), *b = case_values(c, "key_position");
    double score[LENGTH], most = -INFINITY, values = 0, weights = 0;
    for (int64_t j = 0; j < seen; j++) {
        score[j] = k[j * D + channel];
        for (int r = 0; r < RANK; r++)
            score[j] += (double)a[t * RANK + r] * (double)b[j * RANK + r];
        most = fmax(most, score[j]);
    }
    for (int64_t j = 0; j < seen; j++) {
        values += exp(score[j] - most) * v[j * D + channel];
        weights += exp(score[j] - most);
    }
    return values / weights;
}

static void averages(const struct kernel_case *c, const double *x, bool causal, double *y)
{
    int64_t T = c->length;
    double *k = memory_allocate((size_t)(2 * T * D) * sizeof *k), *v = k + T * D;
    for (int64_t t = 0; t < T; t++) {
        case_linear(c, "key", x + t * D, D, k + t * D, D);
        case_linear(c, "value", x + t * D, D, v + t * D, D);
    }
    for (int64_t t = 0; t < T; t++) {
        double o[D];
        case_linear(c, "query", x + t * D, D, o, D);
        for (int i = 0; i < D; i++)
            o[i] = average(c, k, v, t, causal ? t + 1 : T, i) / (1 + exp(-o[i]));
        case_linear(c, "output", o, D, y + t * D, D);
    }
    free(k);
}

static void is_an_average(int64_t length, bool causal)
{
    struct kernel_case c;
    char json[160];
    snprintf(
        json, sizeof json,
        "{\"mixer\": {\"kernel\": \"factorized-attention-free\", \"rank\": %d, \"length\": %d, \"causal\": "
        "%s}}",
        RANK, LENGTH, causal ? "true" : "false");
    case_open(&c, json, B, length, D);
    double *want = memory_allocate((size_t)(B * length * D) * sizeof *want);
    for (int b = 0; b < B; b++)
        averages(&c, c.x + b * length * D, causal, want + b * length * D);
    case_expect(&c, want);
    free(want);
    case_close(&c);
}

/* Lengths on both sides of those where blocks or tiles begin. */
static const int64_t lengths[] = {1, 2, 8, 9, 16, 17, 37, 64, 129, 600};

static void causal_averages_see_the_past(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        is_an_average(lengths[i], true);
}

static void averages_see_everything(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        is_an_average(lengths[i], false);
}

static void properties_hold(void **state)
{
    (void)state;
    case_expect_properties("{\"mixer\": {\"kernel\": \"factorized-attention-free\", \"rank\": 5}}");
    case_expect_properties("{\"mixer\": {\"kernel\": \"factorized-attention-free\", \"causal\": false}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(causal_averages_see_the_past),
        cmocka_unit_test(averages_see_everything),
        cmocka_unit_test(properties_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
