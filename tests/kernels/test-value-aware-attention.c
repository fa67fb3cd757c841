/* Value-aware attention against the nearest value, found one by one, against greedy steps towards the output,
 * and, with enough values, against attention itself. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, H = 2, SIZE = 4, D = H * SIZE, LENGTH = 19 };

static double dot(const double *a, const double *b)
{
    double sum = 0;
    for (int i = 0; i < SIZE; i++)
        sum += a[i] * b[i];
    return sum;
}

static double squared_distance(const double *a, const double *b)
{
    return dot(a, a) + dot(b, b) - 2 * dot(a, b);
}

/* y at distance t on the line from y to v. */
static void go(double *y, const double *v, double t)
{
    for (int i = 0; i < SIZE; i++)
        y[i] += t * (v[i] - y[i]);
}

/* The mixture of `keep` of the values v[s] + at, s < seen, near to o. */
static void approximate(double v[LENGTH][D], int at, int64_t seen, int keep, const double *o, double *y)
{
    int64_t nearest = 0;
    for (int64_t s = 1; s < seen; s++)
        if (squared_distance(v[s] + at, o) < squared_distance(v[nearest] + at, o))
            nearest = s;
    memcpy(y, v[nearest] + at, SIZE * sizeof *y);
    for (int n = 1; n < keep; n++) {
        double missing[SIZE], way[SIZE];
        int64_t best = 0;
        for (int i = 0; i < SIZE; i++)
            missing[i] = o[i] - y[i];
        for (int64_t s = 1; s < seen; s++)
            if (dot(missing, v[s] + at) > dot(missing, v[best] + at))
                best = s;
        for (int i = 0; i < SIZE; i++)
            way[i] = v[best][at + i] - y[i];
        if (dot(way, way) > 0)
            go(y, v[best] + at, fmin(fmax(dot(missing, way) / dot(way, way), 0), 1));
    }
}

static void attend(const struct kernel_case *c, int keep, bool causal, const double *x, double *y)
{
    double q[LENGTH][D], k[LENGTH][D], v[LENGTH][D];
    for (int64_t t = 0; t < LENGTH; t++) {
        case_linear(c, "q_proj", x + t * D, D, q[t], D);
        case_linear(c, "k_proj", x + t * D, D, k[t], D);
        case_linear(c, "v_proj", x + t * D, D, v[t], D);
    }
    for (int64_t t = 0; t < LENGTH; t++) {
        double mixed[D] = {0};
        int64_t seen = causal ? t + 1 : LENGTH;
        for (int at = 0; at < D; at += SIZE) {
            double o[SIZE] = {0}, sum = 0;
            for (int64_t s = 0; s < seen; s++) {
                double weight = exp(dot(q[t] + at, k[s] + at) / sqrt(SIZE));
                sum += weight;
                for (int i = 0; i < SIZE; i++)
                    o[i] += weight * v[s][at + i];
            }
            for (int i = 0; i < SIZE; i++)
                o[i] /= sum;
            if (keep == 0 || keep > SIZE)
                memcpy(mixed + at, o, sizeof o);
            else
                approximate(v, at, seen, keep, o, mixed + at);
        }
        case_linear(c, "out_proj", mixed, D, y + t * D, D);
    }
}

static void comes_near(int keep, bool causal, int chunk)
{
    struct kernel_case c;
    double want[B * LENGTH * D];
    char json[256];
    snprintf(
        json, sizeof json,
        "{\"mixer\": {\"kernel\": \"value-aware-attention\", \"heads\": %d, \"keep\": %d, \"causal\": %s, "
        "\"chunk\": %d}}",
        H, keep, causal ? "true" : "false", chunk);
    case_open(&c, json, B, LENGTH, D);
    for (int b = 0; b < B; b++)
        attend(&c, keep, causal, c.x + b * LENGTH * D, want + b * LENGTH * D);
    case_expect(&c, want);
    if (causal)
        case_expect_steps(&c, want);
    case_close(&c);
}

static void a_few_values_come_near(void **state)
{
    (void)state;
    comes_near(1, true, 128);
    comes_near(1, false, 4);
    comes_near(2, true, 5);
    comes_near(3, true, 19);
    comes_near(4, false, 128);
}

static void enough_values_are_exact(void **state)
{
    (void)state;
    comes_near(SIZE + 1, true, 128);
    comes_near(0, false, 7);
}

static void has_its_properties(void **state)
{
    (void)state;
    case_expect_properties(
        "{\"mixer\": {\"kernel\": \"value-aware-attention\", \"keep\": 1, \"chunk\": 16}}");
    case_expect_properties(
        "{\"mixer\": {\"kernel\": \"value-aware-attention\", \"keep\": 3, \"causal\": false}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_few_values_come_near),
        cmocka_unit_test(enough_values_are_exact),
        cmocka_unit_test(has_its_properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
