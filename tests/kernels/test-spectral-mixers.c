/* AFNO, GFNet and IGLOO against sums over frequencies, shifts and patches. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, MOST = 16 };

/* ---- AFNO: the lowest half of the frequencies, two blocks of two channels, four hidden ones each ---- */

enum { D = 4, BLOCKS = 2, SIZE = D / BLOCKS, HIDDEN = 2 * SIZE };

/* (re, im) = X W + b of one block, W and b stored as real parts, then imaginary parts. */
static void complex_map(const real *w, const real *b, int block, const double (*x)[2], int inputs,
                        int outputs, double (*y)[2])
{
    for (int o = 0; o < outputs; o++) {
        y[o][0] = (double)b[block * outputs + o];
        y[o][1] = (double)b[(BLOCKS + block) * outputs + o];
        for (int i = 0; i < inputs; i++) {
            double re = (double)w[(block * inputs + i) * outputs + o];
            double im = (double)w[((BLOCKS + block) * inputs + i) * outputs + o];
            y[o][0] += x[i][0] * re - x[i][1] * im;
            y[o][1] += x[i][0] * im + x[i][1] * re;
        }
    }
}

static double shrink(double x)
{
    return fabs(x) <= 0.1 ? 0 : x > 0 ? x - 0.1 : x + 0.1;
}

static void adaptive(const struct kernel_case *c, const double *x, int length, double *y)
{
    int bins = length / 2 + 1, kept = bins / 2;
    memcpy(y, x, (size_t)(length * D) * sizeof *y);
    for (int k = 0; k < kept; k++)
        for (int block = 0; block < BLOCKS; block++) {
            double X[SIZE][2] = {{0}}, hidden[HIDDEN][2], Z[SIZE][2];
            for (int i = 0; i < SIZE; i++)
                for (int t = 0; t < length; t++) {
                    double angle = 2 * M_PI * k * t / length,
                           value = x[t * D + block * SIZE + i] / sqrt(length);
                    X[i][0] += value * cos(angle);
                    X[i][1] -= value * sin(angle);
                }
            complex_map(case_values(c, "w1"), case_values(c, "b1"), block, X, SIZE, HIDDEN, hidden);
            for (int i = 0; i < HIDDEN; i++)
                for (int part = 0; part < 2; part++)
                    hidden[i][part] = hidden[i][part] > 0 ? hidden[i][part] : 0;
            complex_map(case_values(c, "w2"), case_values(c, "b2"), block, hidden, HIDDEN, SIZE, Z);
            for (int i = 0; i < SIZE; i++)
                for (int t = 0; t < length; t++) {
                    double angle = 2 * M_PI * k * t / length, twice = k == 0 || 2 * k == length ? 1 : 2;
                    y[t * D + block * SIZE + i] +=
                        twice * (shrink(Z[i][0]) * cos(angle) - shrink(Z[i][1]) * sin(angle)) / sqrt(length);
                }
        }
}

static void adaptive_operator_maps_low_frequencies(void **state)
{
    (void)state;
    for (int length = 3; length <= 12; length++) {
        struct kernel_case c;
        double want[B * MOST * D];
        case_open(&c,
                  "{\"mixer\": {\"kernel\": \"adaptive-fourier-operator\", \"blocks\": 2, \"expand\": 2, "
                  "\"fraction\": 0.5, "
                  "\"threshold\": 0.1}}",
                  B, length, D);
        for (int b = 0; b < B; b++)
            adaptive(&c, c.x + b * length * D, length, want + b * length * D);
        case_expect(&c, want);
        case_close(&c);
    }
}

/* ---- GFNet: the kernel of the circular convolution is the inverse transform of the weights ---- */

static void circular(const struct kernel_case *c, int rows, int columns, double *y)
{
    const real *w = case_values(c, "complex_weight");
    int bins = columns / 2 + 1, size = rows * columns;
    double kernel[MOST * D];
    for (int i = 0; i < size * D; i++) {
        int p = i / D / columns, q = i / D % columns, d = i % D;
        kernel[i] = 0;
        for (int u = 0; u < rows; u++)
            for (int v = 0; v < bins; v++) {
                double angle = 2 * M_PI * ((double)(u * p) / rows + (double)(v * q) / columns);
                double twice = v == 0 || 2 * v == columns ? 1 : 2;
                const real *at = w + ((u * bins + v) * D + d) * 2;
                kernel[i] += twice * ((double)at[0] * cos(angle) - (double)at[1] * sin(angle)) / size;
            }
    }
    for (int i = 0; i < B * size * D; i++) {
        int b = i / D / size, p = i / D % size / columns, q = i / D % columns, d = i % D;
        y[i] = 0;
        for (int s = 0; s < size; s++) {
            int up = (p - s / columns + rows) % rows, left = (q - s % columns + columns) % columns;
            y[i] += kernel[(up * columns + left) * D + d] * c->x[(b * size + s) * D + d];
        }
    }
}

static void global_filter_is_a_circular_convolution(void **state)
{
    static const int grids[][2] = {{3, 5}, {4, 4}, {2, 7}, {1, 9}, {1, 8}, {5, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof grids / sizeof *grids; i++) {
        struct kernel_case c;
        char json[128];
        double want[B * MOST * D];
        snprintf(json, sizeof json, "{\"mixer\": {\"kernel\": \"global-filter\", \"grid\": [%d, %d]}}",
                 grids[i][0], grids[i][1]);
        case_open(&c, json, B, grids[i][0] * grids[i][1], D);
        circular(&c, grids[i][0], grids[i][1], want);
        case_expect(&c, want);
        case_close(&c);
    }
}

/* ---- IGLOO: two stacks of five patches over the newest twelve tokens ---- */

enum { LENGTH = 12, FILTERS = 5, TAPS = 2, PATCHES = 5, PATCH = 3, STACKS = 2 };

static double leaky(double x)
{
    return x > 0 ? x : 0.1 * x;
}

static void slices(const struct kernel_case *c, const double *x, int length, double *y)
{
    double u[2][MOST * FILTERS];
    memcpy(u[1], x, (size_t)(length * D) * sizeof *x);
    for (int stack = 0; stack < STACKS; stack++) {
        char name[32];
        int inputs = stack ? FILTERS : D, dilation = stack ? 3 : 1;
        double *out = u[stack % 2], *in = u[1 - stack % 2];
        snprintf(name, sizeof name, "convs.%d.weight", stack);
        const real *w = case_values(c, name);
        snprintf(name, sizeof name, "convs.%d.bias", stack);
        for (int i = 0; i < length * FILTERS; i++) {
            double sum = (double)case_values(c, name)[i % FILTERS];
            for (int j = 0; j < inputs; j++)
                for (int k = 0; k < TAPS; k++) {
                    int t = i / FILTERS - (TAPS - 1 - k) * dilation;
                    sum += t < 0 ? 0 : (double)w[(i % FILTERS * inputs + j) * TAPS + k] * in[t * inputs + j];
                }
            out[i] = leaky(sum);
        }
        for (int n = 0; n < PATCHES; n++) {
            snprintf(name, sizeof name, "w_bias.%d", stack);
            double sum = (double)case_values(c, name)[n];
            for (int i = 0; i < PATCH * FILTERS; i++) {
                snprintf(name, sizeof name, "patches%d", stack);
                int t = (int)case_values(c, name)[n * PATCH + i / FILTERS] - LENGTH + length;
                snprintf(name, sizeof name, "w_mult.%d", stack);
                sum += t < 0 ? 0
                             : (double)case_values(c, name)[n * PATCH * FILTERS + i] *
                                   out[t * FILTERS + i % FILTERS];
            }
            y[stack * PATCHES + n] = leaky(sum);
        }
    }
}

static void patches_weigh_time_steps(void **state)
{
    static const int lengths[] = {7, 12, 15};
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct kernel_case c;
        double want[B * STACKS * PATCHES];
        case_open(&c,
                  "{\"mixer\": {\"kernel\": \"patch-slicing\", \"patches\": 5, \"patch_size\": 3, "
                  "\"filters\": 5, \"conv\": 2, "
                  "\"stacks\": 2, \"length\": 12}}",
                  B, lengths[i], D);
        for (int b = 0; b < B; b++)
            slices(&c, c.x + b * lengths[i] * D, lengths[i], want + b * STACKS * PATCHES);
        case_expect(&c, want);
        case_close(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adaptive_operator_maps_low_frequencies),
        cmocka_unit_test(global_filter_is_a_circular_convolution),
        cmocka_unit_test(patches_weigh_time_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
