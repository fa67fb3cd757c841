/* LongConv and SGConv against sums over lags, whose filters are written down tap by tap. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, D = 3, MOST = 64 };

/* Taps of one output channel by lag from -MOST (ahead) to MOST. */
struct taps {
    double at[2 * MOST + 1];
};

static double gelu(double x)
{
    return x * 0.5 * (1 + erf(x / sqrt(2)));
}

/* y_t = sum over lags of tap x_{t - lag}, plus D x_t, of channel `row` of input channel d. */
static double convolved(const struct kernel_case *c, const double *x, int64_t t, int row, int d,
                        const struct taps *taps)
{
    double sum = (double)case_values(c, "D")[row] * x[t * D + d];
    for (int64_t s = 0; s < c->length; s++)
        sum += taps->at[MOST + t - s] * x[s * D + d];
    return sum;
}

/* output(gelu(..)), gated if it has two halves. */
static void finish(const struct kernel_case *c, const char *name, int channels, bool gated,
                   const struct taps *taps, double *y)
{
    for (int b = 0; b < B; b++)
        for (int64_t t = 0; t < c->length; t++) {
            double h[4 * D], out[2 * D];
            const double *x = c->x + b * c->length * D;
            for (int i = 0; i < channels * D; i++)
                h[i] = gelu(convolved(c, x, t, i, i % D, &taps[i]));
            case_linear(c, name, h, channels * D, out, gated ? 2 * D : D);
            for (int d = 0; d < D; d++)
                y[(b * c->length + t) * D + d] = gated ? out[d] / (1 + exp(-out[D + d])) : out[d];
        }
}

/* ---- LongConv ---- */

struct long_variant {
    int length, taps, channels, smoothing;
    bool bidirectional, wrap;
};

static double shrunk_tap(const struct kernel_case *c, const struct long_variant *v, int row, int j)
{
    const real *k = case_values(c, "kernel.kernel") + row * v->taps;
    double sum = 0;
    int count = v->smoothing ? v->smoothing : 1;
    for (int i = 0; i < count; i++) {
        int at = j + i - count / 2;
        sum += at >= 0 && at < v->taps ? (double)k[at] / count : 0;
    }
    double size = fabs(sum) - 0.2;
    return size > 0 ? (sum > 0 ? size : -size) : 0;
}

/* Every tap put on the circle of the published transform: index l < T is lag l, index l >= n - T + 1 is lag l
 * - n. */
static void put_on_circle(const struct long_variant *v, int index, double tap, struct taps *taps)
{
    int circle = v->length + (v->length < v->taps ? v->length : v->taps);
    if (index >= circle)
        return;
    if (index < v->length)
        taps->at[MOST + index] += tap;
    if (index > circle - v->length)
        taps->at[MOST + index - circle] += tap;
}

static void long_taps(const struct kernel_case *c, const struct long_variant *v, struct taps *taps)
{
    int rows = v->channels * D, most = v->taps + (v->smoothing && v->smoothing % 2 == 0);
    memset(taps, 0, (size_t)rows * sizeof *taps);
    for (int row = 0; row < rows; row++)
        for (int j = 0; j < most; j++) {
            double past = shrunk_tap(c, v, row, j);
            double future = v->bidirectional ? shrunk_tap(c, v, rows + row, j) : 0;
            if (v->wrap) {
                put_on_circle(v, j, past, &taps[row]);
                put_on_circle(v, v->length + most - 1 - j, future, &taps[row]);
                continue;
            }
            taps[row].at[MOST + j] += past;
            taps[row].at[MOST - j - 1] += future;
        }
}

static void long_convolution_sums_over_lags(void **state)
{
    static const struct long_variant variants[] = {
        {11, 8, 1, 0, false, false}, {11, 8, 2, 3, true, false},  {6, 8, 1, 0, false, false},
        {6, 8, 1, 0, true, false},   {11, 8, 1, 0, false, true},  {11, 8, 1, 0, true, true},
        {6, 8, 1, 0, false, true},   {5, 8, 2, 0, true, true},    {8, 8, 1, 5, true, true},
        {11, 8, 1, 4, false, false}, {5, 13, 1, 3, false, false}, {3, 20, 1, 0, false, true}};
    (void)state;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        const struct long_variant *v = &variants[i];
        struct kernel_case c;
        struct taps taps[2 * D];
        char json[512];
        double want[B * 11 * D];
        snprintf(json, sizeof json,
                 "{\"mixer\": {\"kernel\": \"long-convolution\", \"length\": %d, \"channels\": %d, "
                 "\"smoothing\": %d, "
                 "\"threshold\": 0.2, \"bidirectional\": %s, \"wrap\": %s}}",
                 v->taps, v->channels, v->smoothing, v->bidirectional ? "true" : "false",
                 v->wrap ? "true" : "false");
        case_open(&c, json, B, v->length, D);
        long_taps(&c, v, taps);
        finish(&c, "output_linear.0", v->channels, true, taps, want);
        case_expect(&c, want);
        case_close(&c);
    }
}

/* ---- SGConv ---- */

struct global_variant {
    int length, reach;
    const char *joined, *stretched;
    int init_scale, channels;
    bool bidirectional, glu;
};
enum { SHORT = 4 };

/* Tap j of a short filter stretched by f. */
static double stretched(const struct global_variant *v, const real *w, int f, int j)
{
    if (strcmp(v->stretched, "nearest") == 0)
        return (double)w[j / f];
    double place = (j + 0.5) / f - 0.5;
    place = place < 0 ? 0 : place;
    int below = (int)floor(place), above = below + 1 < SHORT ? below + 1 : SHORT - 1;
    return (double)w[below] * (1 - (place - below)) + (double)w[above] * (place - below);
}

static void global_taps(const struct kernel_case *c, const struct global_variant *v, int row, double *k)
{
    int scales = 1 + (int)ceil(log2((double)v->reach / SHORT)) - v->init_scale, start = 0;
    bool sum = strcmp(v->joined, "sum") == 0;
    memset(k, 0, MOST * sizeof *k);
    for (int i = 0; i < scales; i++) {
        char name[32];
        snprintf(name, sizeof name, "kernel_list.%d", i);
        const real *w = case_values(c, name) + row * SHORT;
        int f = 1 << ((sum ? i : i > 0 ? i - 1 : 0) + v->init_scale);
        for (int j = 0; j < SHORT * f; j++)
            k[start + j] +=
                stretched(v, w, f, j) * pow((double)case_values(c, "multiplier")[row % D], scales - 1 - i);
        start += sum ? 0 : SHORT * f;
    }
    for (int j = 0; j < MOST; j++)
        k[j] /= (double)case_values(c, "kernel_norm")[row];
}

static void global_convolution_sums_over_lags(void **state)
{
    static const struct global_variant variants[] = {
        {20, 16, "cat", "linear", 0, 1, false, false}, {20, 16, "sum", "nearest", 0, 2, false, true},
        {7, 32, "cat", "nearest", 0, 1, true, false},  {40, 32, "sum", "linear", 1, 1, true, false},
        {20, 30, "cat", "linear", 1, 2, false, false}, {3, 32, "sum", "linear", 0, 1, false, false}};
    (void)state;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        const struct global_variant *v = &variants[i];
        struct kernel_case c;
        struct taps taps[2 * D];
        char json[512];
        double want[B * 40 * D], k[MOST];
        snprintf(json, sizeof json,
                 "{\"mixer\": {\"kernel\": \"structured-global-convolution\", \"length\": %d, "
                 "\"kernel_dim\": 4, \"joined\": "
                 "\"%s\", \"stretched\": \"%s\", \"init_scale\": %d, \"channels\": %d, \"decay_min\": 1.5, "
                 "\"bidirectional\": %s, \"glu\": %s}}",
                 v->reach, v->joined, v->stretched, v->init_scale, v->channels,
                 v->bidirectional ? "true" : "false", v->glu ? "true" : "false");
        case_open(&c, json, B, v->length, D);
        memset(taps, 0, sizeof taps);
        for (int row = 0; row < v->channels * D; row++) {
            global_taps(&c, v, row, k);
            for (int j = 0; j < MOST; j++)
                taps[row].at[MOST + j] = k[j];
            if (v->bidirectional)
                global_taps(&c, v, v->channels * D + row, k);
            for (int j = 0; j < MOST && v->bidirectional; j++)
                taps[row].at[MOST - j - 1] = k[j];
        }
        finish(&c, v->glu ? "output_linear.0" : "output_linear", v->channels, v->glu, taps, want);
        case_expect(&c, want);
        case_close(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_convolution_sums_over_lags),
        cmocka_unit_test(global_convolution_sums_over_lags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
