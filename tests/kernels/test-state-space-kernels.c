/* Kernels of state spaces in the forms that no reference case has: against sums over modes and matrices,
 * written out. */
#include "block/hippo.h"
#include "case.h"
#include <complex.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
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
    case_open(
        &run,
        "{\"mixer\": {\"kernel\": \"normalized-diagonal-state-space\", \"state\": 6, \"form\": \"softmax\", "
        "\"activation\": \"identity\", \"epsilon\": 0}}",
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
              "{\"mixer\": {\"kernel\": \"normalized-diagonal-state-space\", \"state\": 6, \"activation\": "
              "\"identity\"}}",
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

/* x = a^-1 x for a [n, n] and x [n], without exchanges: the matrices here need none. */
static void solve(int64_t n, double *a, double *x)
{
    for (int64_t k = 0; k < n; k++)
        for (int64_t i = k + 1; i < n; i++) {
            double factor = a[i * n + k] / a[k * n + k];
            for (int64_t j = k; j < n; j++)
                a[i * n + j] -= factor * a[k * n + j];
            x[i] -= factor * x[k];
        }
    for (int64_t i = n - 1; i >= 0; i--) {
        for (int64_t j = i + 1; j < n; j++)
            x[i] -= a[i * n + j] * x[j];
        x[i] /= a[i * n + i];
    }
}

/* to = x + share delta A x, and the input share delta B f. */
static void explicit_part(const double *A, const double *B, double delta, double share, double f,
                          const double *x, double *to)
{
    for (int64_t i = 0; i < STATES; i++) {
        to[i] = x[i] + delta * B[i] * f;
        for (int64_t j = 0; j < STATES; j++)
            to[i] += share * delta * A[i * STATES + j] * x[j];
    }
}

/* One step of c' = A c + B f with f held, by many small ones of Taylor's rule. */
static void hold(const double *A, const double *B, double delta, double f, double *c)
{
    enum { PIECES = 64, TERMS = 12 };
    for (int piece = 0; piece < PIECES; piece++) {
        double term[STATES], next[STATES], sum[STATES];
        memcpy(sum, c, sizeof sum);
        memcpy(term, c, sizeof term);
        for (int k = 1; k <= TERMS; k++) {
            for (int64_t i = 0; i < STATES; i++) {
                next[i] = k == 1 ? B[i] * f : 0;
                for (int64_t j = 0; j < STATES; j++)
                    next[i] += A[i * STATES + j] * term[j];
                next[i] *= delta / PIECES / k;
                sum[i] += next[i];
            }
            memcpy(term, next, sizeof term);
        }
        memcpy(c, sum, sizeof sum);
    }
}

static void take_step(const char *rule, const double *A, const double *B, double delta, double f, double *c)
{
    if (strcmp(rule, "zoh") == 0) {
        hold(A, B, delta, f, c);
        return;
    }
    double share = strcmp(rule, "forward") == 0 ? 1 : strcmp(rule, "bilinear") == 0 ? 0.5 : 0;
    double to[STATES], matrix[STATES * STATES];
    explicit_part(A, B, delta, share, f, c, to);
    for (int64_t i = 0; i < STATES * STATES; i++)
        matrix[i] = (i / STATES == i % STATES) - (1 - share) * delta * A[i];
    solve(STATES, matrix, to);
    memcpy(c, to, sizeof to);
}

/* Channel by channel; legs in steps of 1 / t (ln((t + 1) / t) when held), legt in steps of 0.05. */
static void compare_projection(const char *measure, const char *rule)
{
    char mixer[256];
    struct kernel_case run;
    double A[STATES * STATES], B[STATES], want[LENGTH * WIDTH * STATES];
    bool legs = strcmp(measure, "legs") == 0, held = strcmp(rule, "zoh") == 0;
    snprintf(mixer, sizeof mixer,
             "{\"mixer\": {\"kernel\": \"polynomial-projection\", \"state\": 6, \"measure\": \"%s\", "
             "\"discretization\": "
             "\"%s\", "
             "\"dt\": 0.05, \"readout\": false}}",
             measure, rule);
    case_open(&run, mixer, 1, LENGTH, WIDTH);
    hippo_matrices(legs ? HIPPO_LEGS : HIPPO_LMU, STATES, A, B);
    for (int64_t channel = 0; channel < WIDTH; channel++) {
        double c[STATES] = {0};
        for (int64_t t = 0; t < LENGTH; t++) {
            double next = (double)(t + 1), delta = !legs ? 0.05 : held ? log((next + 1) / next) : 1 / next;
            take_step(rule, A, B, delta, run.x[t * WIDTH + channel], c);
            memcpy(want + (t * WIDTH + channel) * STATES, c, sizeof c);
        }
    }
    case_expect(&run, want);
    case_close(&run);
}

static void projections_take_each_kind_of_step(void **state)
{
    static const char *const rules[] = {"bilinear", "backward", "zoh"};
    for (int i = 0; i < 3; i++) {
        compare_projection("legs", rules[i]);
        compare_projection("legt", rules[i]);
    }
    compare_projection("legt", "forward"); /* which grows without bound for legs */
}

/* In double precision only: a step undoes the truncation of an output map with the condition of 1 - A^L,
 * which slow modes make large. */
static void forms_without_a_reference_hold_their_properties(void **state)
{
    if (sizeof(real) == sizeof(float))
        return;
    static const char *const mixers[] = {
        "{\"mixer\": {\"kernel\": \"structured-state-space\", \"state\": 4, \"init\": \"legt\", \"rank\": 2, "
        "\"channels\": 2}}",
        "{\"mixer\": {\"kernel\": \"structured-state-space\", \"state\": 8, \"init\": \"hippo\", "
        "\"systems\": 2, "
        "\"length\": 64, "
        "\"truncated\": true}}",
        "{\"mixer\": {\"kernel\": \"shift-diagonal-state-space\", \"state\": 6, \"head_dim\": 2, "
        "\"systems\": 4, "
        "\"discretization\": \"zoh\"}}",
        "{\"mixer\": {\"kernel\": \"shift-diagonal-state-space\", \"state\": 8, \"length\": 5}}",
        "{\"mixer\": {\"kernel\": \"linear-state-space\", \"state\": 8, \"channels\": 3, \"measure\": "
        "\"legs\"}}",
        "{\"mixer\": {\"kernel\": \"multi-input-state-space\", \"state\": 6, \"discretization\": "
        "\"bilinear\", "
        "\"liquid\": true}}",
        "{\"mixer\": {\"kernel\": \"multi-input-state-space\", \"state\": 0, \"bidirectional\": true, "
        "\"degree\": 2}}",
        "{\"mixer\": {\"kernel\": \"normalized-diagonal-state-space\", \"state\": 4, \"channels\": 2, "
        "\"bidirectional\": "
        "true, "
        "\"separate_steps\": false, \"glu\": true}}",
        "{\"mixer\": {\"kernel\": \"gated-state-space\", \"state\": 6, \"reverse\": true, "
        "\"positive_frequencies\": "
        "false}}",
        "{\"mixer\": {\"kernel\": \"legendre-memory\", \"state\": 6, \"theta\": 9, \"learn_a\": true, "
        "\"learn_b\": true}}",
    };
    for (size_t i = 0; i < sizeof mixers / sizeof *mixers; i++)
        case_expect_properties(mixers[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(softmax_modes_sum_to_one_whether_they_grow_or_fade),
        cmocka_unit_test(exponential_modes_are_held_between_tokens),
        cmocka_unit_test(projections_take_each_kind_of_step),
        cmocka_unit_test(forms_without_a_reference_hold_their_properties),
        cmocka_unit_test(modes_are_those_of_the_matrix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
