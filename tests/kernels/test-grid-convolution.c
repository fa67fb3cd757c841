/* Convolutions of all channels over a grid of 4 x 8: patches that become tokens, and the blocks of residual
 * networks. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, ROWS = 4, COLUMNS = 8, T = ROWS * COLUMNS, D = 4 };

/* The cells from (row, column) on times output `o` of NAME.weight [outputs, inputs, size, size]; zeros
 * outside. */
static double products(const struct kernel_case *c, const char *name, const double *x, int inputs, int size,
                       int row, int column, int o)
{
    char full[96];
    double sum = 0;
    snprintf(full, sizeof full, "%s.weight", name);
    const real *w = case_values(c, full);
    for (int i = 0; i < inputs; i++)
        for (int p = 0; p < size; p++)
            for (int q = 0; q < size; q++)
                if (row + p >= 0 && row + p < ROWS && column + q >= 0 && column + q < COLUMNS)
                    sum += (double)w[((o * inputs + i) * size + p) * size + q] *
                           x[((row + p) * COLUMNS + column + q) * inputs + i];
    return sum;
}

static void cuts_patches(void **state)
{
    (void)state;
    enum { P = 3, ACROSS = 3, N = 1 + 2 * ACROSS }; /* the last patches end beyond the grid */
    struct kernel_case c;
    double want[B * N * D];
    case_open(&c,
              "{\"embedding\": {\"kernel\": \"patch-embedding\", \"sizes\": [3], \"class_token\": true, "
              "\"columns\": 8}}",
              B, T, D);
    for (int b = 0; b < B; b++)
        for (int n = 0; n < N; n++)
            for (int o = 0; o < D; o++) {
                int row = (n - 1) / ACROSS * P, column = (n - 1) % ACROSS * P;
                want[(b * N + n) * D + o] =
                    n == 0 ? (double)case_values(&c, "cls_token")[o]
                           : (double)case_values(&c, "proj.bias")[o] +
                                 products(&c, "proj", c.x + b * T * D, D, P, row, column, o);
            }
    case_expect(&c, want);
    case_close(&c);
}

static void cuts_patches_of_several_sizes(void **state)
{
    (void)state;
    enum { P = 2, N = T / (P * P) };
    static const int sizes[] = {2, 4, 6}, firsts[] = {0, 2, 3, 4};
    struct kernel_case c;
    double want[B * N * D];
    case_open(&c,
              "{\"embedding\": {\"kernel\": \"patch-embedding\", \"sizes\": [2, 4, 6], \"norm\": true, "
              "\"columns\": 8}}",
              B, T, D);
    for (int b = 0; b < B; b++)
        for (int n = 0; n < N; n++) {
            double *y = want + (b * N + n) * D, mean = 0, square = 0;
            for (int k = 0; k < 3; k++)
                for (int o = firsts[k]; o < firsts[k + 1]; o++) {
                    char name[32];
                    int beside = (sizes[k] - P) / 2;
                    snprintf(name, sizeof name, "projs.%d", k);
                    y[o] = products(&c, name, c.x + b * T * D, D, sizes[k], n / (COLUMNS / P) * P - beside,
                                    n % (COLUMNS / P) * P - beside, o - firsts[k]);
                    snprintf(name, sizeof name, "projs.%d.bias", k);
                    y[o] += (double)case_values(&c, name)[o - firsts[k]];
                }
            for (int o = 0; o < D; o++)
                mean += y[o] / D;
            for (int o = 0; o < D; o++)
                square += (y[o] - mean) * (y[o] - mean) / D;
            for (int o = 0; o < D; o++)
                y[o] = (y[o] - mean) / sqrt(square + 1e-5) * (double)case_values(&c, "norm.weight")[o] +
                       (double)case_values(&c, "norm.bias")[o];
        }
    case_expect(&c, want);
    case_close(&c);
}

/* relu(N(C(x))) or N(C(x)) for layer `number` of the mixer, T rows. */
static void convolve(const struct kernel_case *c, int number, const double *x, int inputs, int size,
                     bool rectified, double *y, int outputs)
{
    char name[64];
    for (int t = 0; t < T; t++)
        for (int o = 0; o < outputs; o++) {
            snprintf(name, sizeof name, "mixer.conv%d", number);
            double sum =
                products(c, name, x, inputs, size, t / COLUMNS - size / 2, t % COLUMNS - size / 2, o);
            snprintf(name, sizeof name, "mixer.bn%d.running_mean", number);
            sum -= (double)case_values(c, name)[o];
            snprintf(name, sizeof name, "mixer.bn%d.running_var", number);
            sum /= sqrt((double)case_values(c, name)[o] + 1e-5);
            snprintf(name, sizeof name, "mixer.bn%d.weight", number);
            sum *= (double)case_values(c, name)[o];
            snprintf(name, sizeof name, "mixer.bn%d.bias", number);
            sum += (double)case_values(c, name)[o];
            y[t * outputs + o] = rectified ? fmax(sum, 0) : sum;
        }
}

static void adds_a_residual(const struct kernel_case *c, const double *x, const double *branch, double *y)
{
    (void)c;
    for (int i = 0; i < T * D; i++)
        y[i] = fmax(x[i] + branch[i], 0);
}

#define BLOCK(options)                                                                     \
    "{\"mixer\": {\"kernel\": \"convolution\", \"columns\": 8" options "}, \"residual\": " \
    "{\"kernel\": \"rectified-residual\"}}"

static void basic_block(void **state)
{
    (void)state;
    struct kernel_case c;
    double want[B * T * D], h[T * D], branch[T * D];
    case_open_stack(&c, BLOCK(""), B, T, D);
    for (int b = 0; b < B; b++) {
        convolve(&c, 1, c.x + b * T * D, D, 3, true, h, D);
        convolve(&c, 2, h, D, 3, false, branch, D);
        adds_a_residual(&c, c.x + b * T * D, branch, want + b * T * D);
    }
    case_expect(&c, want);
    case_close(&c);
}

static void bottleneck_block(void **state)
{
    (void)state;
    enum { N = 3 };
    struct kernel_case c;
    double want[B * T * D], h[T * N], z[T * N], branch[T * D];
    case_open_stack(&c, BLOCK(", \"bottleneck\": 3"), B, T, D);
    for (int b = 0; b < B; b++) {
        convolve(&c, 1, c.x + b * T * D, D, 1, true, h, N);
        convolve(&c, 2, h, N, 3, true, z, N);
        convolve(&c, 3, z, N, 1, false, branch, D);
        adds_a_residual(&c, c.x + b * T * D, branch, want + b * T * D);
    }
    case_expect(&c, want);
    case_close(&c);
}

static void have_their_properties(void **state)
{
    (void)state;
    case_expect_properties("{\"embedding\": {\"kernel\": \"patch-embedding\", \"sizes\": [2, 4]}}");
    case_expect_stack_properties(BLOCK(", \"bottleneck\": 3"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_patches),          cmocka_unit_test(cuts_patches_of_several_sizes),
        cmocka_unit_test(basic_block),           cmocka_unit_test(bottleneck_block),
        cmocka_unit_test(have_their_properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
