/* Kernels of state spaces in the forms that no reference case has: against sums over modes and matrices, written out. */
#include "block/hippo.h"
#include "case.h"
#include <complex.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LENGTH = 21, WIDTH = 4, STATES = 6 };

/* Compares with (K * x + D x) Wo + b, one sequence, K [WIDTH, LENGTH]. */
static void compare(struct kernel_case *run, const double *kernel)
{
    double want[LENGTH * WIDTH], row[WIDTH];
    const real *D = case_values(run, "D");
    for (int64_t t = 0; t < LENGTH; t++) {
        for (int64_t c = 0; c < WIDTH; c++) {
            row[c] = (double)D[c] * run->x[t * WIDTH + c];
            for (int64_t l = 0; l <= t; l++)
                row[c] += kernel[c * LENGTH + l] * run->x[(t - l) * WIDTH + c];
        }
        case_linear(run, "output_linear", row, WIDTH, want + t * WIDTH, WIDTH);
    }
    case_expect(run, want);
    case_close(run);
}

static double complex mode_rate(const struct kernel_case *run, double complex lambda, int64_t c)
{
    const real *log_dt = case_values(run, "kernel.log_dt");
    return exp((double)log_dt[2 * c]) * creal(lambda) + I * exp((double)log_dt[2 * c + 1]) * cimag(lambda);
}

static void softmax_modes_sum_to_one_whether_they_grow_or_fade(void **state)
{
    struct kernel_case run;
    case_open(&run,
              "{\"kernel\": \"normalized-diagonal-state-space\", \"state\": 6, \"form\": \"softmax\", "
              "\"activation\": \"identity\", \"epsilon\": 0}",
              1, LENGTH, WIDTH);
    const real *lambda = case_values(&run, "kernel.Lambda"), *W = case_values(&run, "kernel.W");
    double kernel[WIDTH * LENGTH] = {0};
    int growing = 0;
    for (int64_t n = 0; n < STATES; n++)
        growing += lambda[2 * n] > 0;
    assert_true(growing > 0 && growing < STATES);
    for (int64_t c = 0; c < WIDTH; c++)
        for (int64_t n = 0; n < STATES; n++) {
            double complex l_n = (double)lambda[2 * n] + I * (double)lambda[2 * n + 1],
                           a = mode_rate(&run, l_n, c), sum = 0;
            const real *w = W + (c * STATES + n) * 2;
            double top = fmax(0, creal(a) * (LENGTH - 1));
            for (int64_t l = 0; l < LENGTH; l++)
                sum += cexp(a * (double)l - top);
            for (int64_t l = 0; l < LENGTH; l++)
                kernel[c * LENGTH + l] +=
                    creal(((double)w[0] + I * (double)w[1]) / l_n * cexp(a * (double)l - top) / sum);
        }
    compare(&run, kernel);
}

static void exponential_modes_are_held_between_tokens(void **state)
{
    struct kernel_case run;
    case_open(&run,
              "{\"kernel\": \"normalized-diagonal-state-space\", \"state\": 6, \"activation\": "
              "\"identity\"}",
              1, LENGTH, WIDTH);
    const real *log_real = case_values(&run, "kernel.Lambda_log_neg_re"),
               *turn = case_values(&run, "kernel.Lambda_im"), *W = case_values(&run, "kernel.W");
    double kernel[WIDTH * LENGTH] = {0};
    for (int64_t c = 0; c < WIDTH; c++)
        for (int64_t n = 0; n < STATES; n++) {
            double complex l_n = -exp((double)log_real[n]) + I * (double)turn[n], a = mode_rate(&run, l_n, c);
            const real *w = W + (c * STATES + n) * 2;
            for (int64_t l = 0; l < LENGTH; l++)
                kernel[c * LENGTH + l] +=
                    creal(((double)w[0] + I * (double)w[1]) * (cexp(a) - 1) / l_n * cexp(a * (double)l));
        }
    compare(&run, kernel);
}

/* V (diag(w) - P P^*) V^* has the same invariants as A: traces of powers of A, and the moments B^T A^k B. */
static void modes_are_those_of_the_matrix(void **state)
{
    enum { N = 12, HALF = N / 2 };
    static const enum hippo_measure measures[] = {HIPPO_LEGS, HIPPO_LEGT, HIPPO_FOUT};
    for (int which = 0; which < 3; which++) {
        double A[N * N], B[N], w[N], P[2 * N], b[N];
        hippo_matrices(measures[which], N, A, B);
        hippo_modes(measures[which], N, w, P, b);
        double vector[N];
        double complex half[HALF];
        memcpy(vector, B, sizeof vector);
        for (int k = 0; k < HALF; k++)
            half[k] = b[2 * k] + I * b[2 * k + 1];
        for (int power = 0; power < 5; power++) {
            double want = 0, got = 0, next[N];
            for (int i = 0; i < N; i++)
                want += B[i] * vector[i];
            for (int k = 0; k < HALF; k++)
                got += 2 * creal(conj(b[2 * k] + I * b[2 * k + 1]) * half[k]);
            assert_true(fabs(got - want) <= 1e-9 * (1 + fabs(want)));
            for (int i = 0; i < N; i++) {
                next[i] = 0;
                for (int j = 0; j < N; j++)
                    next[i] += A[i * N + j] * vector[j];
            }
            memcpy(vector, next, sizeof vector);
            double share[2] = {0};
            int ranks = measures[which] == HIPPO_LEGT ? 2 : 1;
            for (int r = 0; r < ranks; r++)
                for (int k = 0; k < HALF; k++)
                    share[r] +=
                        2 * creal(conj(P[(r * HALF + k) * 2] + I * P[(r * HALF + k) * 2 + 1]) * half[k]);
            for (int k = 0; k < HALF; k++) {
                half[k] *= w[2 * k] + I * w[2 * k + 1];
                for (int r = 0; r < ranks; r++)
                    half[k] -= (P[(r * HALF + k) * 2] + I * P[(r * HALF + k) * 2 + 1]) * share[r];
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(softmax_modes_sum_to_one_whether_they_grow_or_fade),
        cmocka_unit_test(exponential_modes_are_held_between_tokens),
        cmocka_unit_test(modes_are_those_of_the_matrix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
