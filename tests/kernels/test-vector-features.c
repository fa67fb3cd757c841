/* Networks and norms of tokens whose features are vectors in space or complex numbers, feature by feature. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { B = 2, T = 3, FEATURES = 4, SPACE = 3, D = FEATURES * SPACE, HIDDEN = 5, ROWS = B * T };

/* y [outputs][3] = W x for x [inputs][3]. */
static void map_vectors(const real *w, int inputs, int outputs, const double *x, double *y)
{
    for (int o = 0; o < outputs; o++)
        for (int c = 0; c < SPACE; c++) {
            y[o * SPACE + c] = 0;
            for (int i = 0; i < inputs; i++)
                y[o * SPACE + c] += (double)w[o * inputs + i] * x[i * SPACE + c];
        }
}

static double inner(const double *a, const double *b)
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static void vectors_are_bent_about_directions(void **state)
{
    (void)state;
    struct kernel_case c;
    double want[ROWS * D];
    case_open(&c, "{\"ffn\": {\"kernel\": \"vector-neuron-mlp\", \"hidden\": 5}}", B, T, D);
    for (int row = 0; row < ROWS; row++) {
        double h[HIDDEN * SPACE], q[HIDDEN * SPACE], k[HIDDEN * SPACE];
        map_vectors(case_values(&c, "up_proj.weight"), FEATURES, HIDDEN, c.x + row * D, h);
        map_vectors(case_values(&c, "relu.W"), HIDDEN, HIDDEN, h, q);
        map_vectors(case_values(&c, "relu.U"), HIDDEN, HIDDEN, h, k);
        for (int i = 0; i < HIDDEN * SPACE; i += SPACE) {
            double product = inner(q + i, k + i), length = sqrt(inner(k + i, k + i));
            for (int j = 0; product < 0 && j < SPACE; j++)
                q[i + j] -= product / length * k[i + j];
        }
        map_vectors(case_values(&c, "down_proj.weight"), HIDDEN, FEATURES, q, want + row * D);
    }
    case_expect(&c, want);
    case_close(&c);
}

/* LayerNorm of n numbers that stand `step` apart. */
static void layer_norm_of(const real *weight, const real *bias, int n, int step, const double *x, double *y)
{
    double mean = 0, variance = 0;
    for (int i = 0; i < n; i++)
        mean += x[i * step] / n;
    for (int i = 0; i < n; i++)
        variance += (x[i * step] - mean) * (x[i * step] - mean) / n;
    for (int i = 0; i < n; i++)
        y[i * step] =
            (x[i * step] - mean) / sqrt(variance + 1e-5) * (double)weight[i] + (bias ? (double)bias[i] : 0);
}

static void lengths_are_normalised(void **state)
{
    (void)state;
    struct kernel_case c;
    double want[ROWS * D];
    case_open(&c, "{\"norm\": {\"kernel\": \"vector-neuron-norm\"}}", B, T, D);
    for (int row = 0; row < ROWS; row++) {
        double length[FEATURES], normed[FEATURES];
        for (int i = 0; i < FEATURES; i++)
            length[i] = sqrt(inner(c.x + row * D + i * SPACE, c.x + row * D + i * SPACE));
        layer_norm_of(case_values(&c, "ln.gamma"), NULL, FEATURES, 1, length, normed);
        for (int i = 0; i < D; i++)
            want[row * D + i] = c.x[row * D + i] / length[i / SPACE] * normed[i / SPACE];
    }
    case_expect(&c, want);
    case_close(&c);
}

static void complex_map(const struct kernel_case *c, const char *r, const char *i, const double *a,
                        const double *b, int inputs, int outputs, double *re, double *im)
{
    double ra[16], rb[16], ia[16], ib[16];
    case_linear(c, r, a, inputs, ra, outputs);
    case_linear(c, r, b, inputs, rb, outputs);
    case_linear(c, i, a, inputs, ia, outputs);
    case_linear(c, i, b, inputs, ib, outputs);
    for (int n = 0; n < outputs; n++) {
        re[n] = ra[n] - ib[n];
        im[n] = rb[n] + ia[n];
    }
}

static void both_parts_are_rectified(void **state)
{
    (void)state;
    struct kernel_case c;
    double want[ROWS * D];
    case_open(&c, "{\"ffn\": {\"kernel\": \"complex-mlp\", \"hidden\": 5}}", B, T, D);
    for (int row = 0; row < ROWS; row++) {
        double a[D / 2], b[D / 2], re[HIDDEN], im[HIDDEN];
        for (int i = 0; i < D / 2; i++) {
            a[i] = c.x[row * D + 2 * i];
            b[i] = c.x[row * D + 2 * i + 1];
        }
        complex_map(&c, "fc1.fc_r", "fc1.fc_i", a, b, D / 2, HIDDEN, re, im);
        for (int i = 0; i < HIDDEN; i++) {
            re[i] = fmax(re[i], 0);
            im[i] = fmax(im[i], 0);
        }
        complex_map(&c, "fc2.fc_r", "fc2.fc_i", re, im, HIDDEN, D / 2, a, b);
        for (int i = 0; i < D / 2; i++) {
            want[row * D + 2 * i] = a[i];
            want[row * D + 2 * i + 1] = b[i];
        }
    }
    case_expect(&c, want);
    case_close(&c);
}

static void both_parts_are_normalised(void **state)
{
    (void)state;
    struct kernel_case c;
    double want[ROWS * D];
    case_open(&c, "{\"norm\": {\"kernel\": \"complex-layernorm\"}}", B, T, D);
    for (int row = 0; row < ROWS; row++) {
        layer_norm_of(case_values(&c, "A.weight"), case_values(&c, "A.bias"), D / 2, 2, c.x + row * D,
                      want + row * D);
        layer_norm_of(case_values(&c, "B.weight"), case_values(&c, "B.bias"), D / 2, 2, c.x + row * D + 1,
                      want + row * D + 1);
    }
    case_expect(&c, want);
    case_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_are_bent_about_directions),
        cmocka_unit_test(lengths_are_normalised),
        cmocka_unit_test(both_parts_are_rectified),
        cmocka_unit_test(both_parts_are_normalised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
