/* Kernels made for images: convolutions over the grid of the tokens, and matrix decomposition. */
#include "case.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, ROWS = 3, COLUMNS = 4, T = ROWS * COLUMNS, D = 6, S = 2, E = D / S, R = 4, ITERATIONS = 3 };

static void convolve(const struct kernel_case *c, const real *w, const real *bias, const double *x, double *y)
{
    (void)c;
    for (int r = 0; r < ROWS; r++)
        for (int q = 0; q < COLUMNS; q++)
            for (int i = 0; i < D; i++) {
                double sum = (double)bias[i];
                for (int a = -1; a <= 1; a++)
                    for (int b = -1; b <= 1; b++)
                        if (r + a >= 0 && r + a < ROWS && q + b >= 0 && q + b < COLUMNS)
                            sum += (double)w[i * 9 + (a + 1) * 3 + b + 1] *
                                   x[((r + a) * COLUMNS + q + b) * D + i];
                y[(r * COLUMNS + q) * D + i] = sum;
            }
}

static void convolves_over_the_grid(void **state)
{
    (void)state;
    struct kernel_case c;
    double want[B * T * D], h[T * D];
    case_open(&c, "{\"mixer\": {\"kernel\": \"local-patch-interaction\", \"columns\": 4}}", B, T, D);
    for (int b = 0; b < B; b++) {
        convolve(&c, case_values(&c, "conv1.weight"), case_values(&c, "conv1.bias"), c.x + b * T * D, h);
        for (int i = 0; i < T * D; i++) {
            double gelu = h[i] * 0.5 * (1 + erf(h[i] / sqrt(2)));
            double spread = sqrt((double)case_values(&c, "bn.running_var")[i % D] + 1e-5);
            h[i] = (gelu - (double)case_values(&c, "bn.running_mean")[i % D]) / spread;
            h[i] = h[i] * (double)case_values(&c, "bn.weight")[i % D] +
                   (double)case_values(&c, "bn.bias")[i % D];
        }
        convolve(&c, case_values(&c, "conv2.weight"), case_values(&c, "conv2.bias"), h, want + b * T * D);
    }
    case_expect(&c, want);
    case_close(&c);
}

/* Of one group of channels: X [T, E] and bases [R, E]. */
static double dot(const double *a, const double *b)
{
    double sum = 0;
    for (int i = 0; i < E; i++)
        sum += a[i] * b[i];
    return sum;
}

static void choose(double x[T][E], double bases[R][E], double t, bool unit_x, double above, bool unit_bases,
                   double C[T][R])
{
    for (int n = 0; n < T; n++) {
        double sum = 0, largest = -INFINITY;
        for (int r = 0; r < R; r++) {
            double scale = (unit_x ? sqrt(dot(x[n], x[n])) + above : 1) *
                           (unit_bases ? sqrt(dot(bases[r], bases[r])) : 1);
            C[n][r] = t * dot(x[n], bases[r]) / scale;
            largest = fmax(largest, C[n][r]);
        }
        for (int r = 0; r < R; r++)
            sum += C[n][r] = exp(C[n][r] - largest);
        for (int r = 0; r < R; r++)
            C[n][r] /= sum;
    }
}

static void multiply_step(double x[T][E], double bases[R][E], double C[T][R])
{
    double next[T][R];
    for (int n = 0; n < T; n++)
        for (int r = 0; r < R; r++) {
            double below = 1e-6;
            for (int k = 0; k < R; k++)
                below += C[n][k] * dot(bases[k], bases[r]);
            next[n][r] = C[n][r] * dot(x[n], bases[r]) / below;
        }
    memcpy(C, next, sizeof next);
}

static void find_bases(double x[T][E], double bases[R][E], double C[T][R], bool nmf, bool vq, double t)
{
    double next[R][E];
    if (nmf)
        multiply_step(x, bases, C);
    else
        choose(x, bases, t, true, 0, vq, C);
    for (int r = 0; r < R; r++) {
        double sum = 1e-6, length;
        for (int n = 0; n < T; n++)
            sum += C[n][r];
        for (int i = 0; i < E; i++) {
            double above = 0, below = 1e-6;
            for (int n = 0; n < T; n++) {
                double rebuilt = 0;
                for (int k = 0; k < R; k++)
                    rebuilt += C[n][k] * bases[k][i];
                above += C[n][r] * x[n][i];
                below += C[n][r] * rebuilt;
            }
            next[r][i] = nmf ? bases[r][i] * above / below : above / sum;
        }
        length = nmf || vq ? 1 : sqrt(dot(next[r], next[r]));
        for (int i = 0; i < E; i++)
            next[r][i] /= length;
    }
    memcpy(bases, next, sizeof next);
}

/* C (G + 0.1) = X D^T for C by elimination, G = D D^T. */
static void solve_coefficients(double x[T][E], double bases[R][E], double C[T][R])
{
    for (int n = 0; n < T; n++) {
        double a[R][R + 1];
        for (int i = 0; i < R; i++) {
            for (int j = 0; j < R; j++)
                a[i][j] = dot(bases[i], bases[j]) + (i == j ? 0.1 : 0);
            a[i][R] = dot(x[n], bases[i]);
        }
        for (int p = 0; p < R; p++)
            for (int i = 0; i < R; i++)
                for (int j = R; i != p && j >= p; j--)
                    a[i][j] -= a[i][p] / a[p][p] * a[p][j];
        for (int r = 0; r < R; r++)
            C[n][r] = a[r][R] / a[r][r];
    }
}

static void rebuilds_tokens(const char *json, bool nmf, bool vq, double t)
{
    struct kernel_case c;
    double want[B * T * D], z[D], all[T][D], x[T][E], bases[R][E], C[T][R], y[T][D];
    case_open(&c, json, B, T, D);
    for (int b = 0; b < B; b++) {
        for (int n = 0; n < T; n++) {
            case_linear(&c, "lower_bread", c.x + (b * T + n) * D, D, z, D);
            for (int i = 0; i < D; i++)
                all[n][i] = nmf && z[i] < 0 ? 0 : z[i];
        }
        for (int g = 0; g < S; g++) {
            for (int n = 0; n < T; n++)
                memcpy(x[n], all[n] + g * E, sizeof x[n]);
            for (int r = 0; r < R; r++) {
                for (int i = 0; i < E; i++)
                    bases[r][i] = (double)case_values(&c, "bases")[(g * E + i) * R + r];
                double length = sqrt(dot(bases[r], bases[r]));
                for (int i = 0; i < E; i++)
                    bases[r][i] /= length;
            }
            choose(x, bases, t, false, 0, false, C);
            for (int i = 0; i < ITERATIONS; i++)
                find_bases(x, bases, C, nmf, vq, t);
            if (nmf)
                multiply_step(x, bases, C);
            else if (vq)
                choose(x, bases, t, true, 1e-6, true, C);
            else
                solve_coefficients(x, bases, C);
            for (int n = 0; n < T; n++)
                for (int i = 0; i < E; i++) {
                    y[n][g * E + i] = 0;
                    for (int r = 0; r < R; r++)
                        y[n][g * E + i] += C[n][r] * bases[r][i];
                }
        }
        for (int n = 0; n < T; n++)
            case_linear(&c, "upper_bread", y[n], D, want + (b * T + n) * D, D);
    }
    case_expect(&c, want);
    case_close(&c);
    case_expect_properties(json);
}

#define FORM(form)                                                                                       \
    "{\"mixer\": {\"kernel\": \"matrix-decomposition\", \"bases\": 4, \"iterations\": 3, \"heads\": 2, " \
    "\"temperature\": 3, \"form\": \"" form "\"}}"

static void non_negative(void **state)
{
    (void)state;
    rebuilds_tokens(FORM("nmf"), true, false, 1);
}

static void vector_quantized(void **state)
{
    (void)state;
    rebuilds_tokens(FORM("vq"), false, true, 3);
}

static void by_concepts(void **state)
{
    (void)state;
    rebuilds_tokens(FORM("cd"), false, false, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolves_over_the_grid),
        cmocka_unit_test(non_negative),
        cmocka_unit_test(vector_quantized),
        cmocka_unit_test(by_concepts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
