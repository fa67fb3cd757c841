/* tensor_legendre_scan against its definition with the matrix written out, and its gradients. */
#include "gradient.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, T = 5, C = 67, N = 6 }; /* channels that no block divides */

static const double rounding = sizeof(real) == 4 ? 1e-5 : 1e-13;

struct form {
    double ahead;
    int64_t before;
    bool initial, final;
};
static const struct form forms[] = {
    {0.5, 0, false, false}, {0, 3, true, false}, {1, 20, false, true}, {0.5, 7, true, true}};
enum { FORMS = sizeof forms / sizeof *forms };

enum { X, DIAGONAL, INPUT, INITIAL, LEAVES };
static const real diagonal[N] = {-1, -2, -3, -4, -5, -6}, input[N] = {1, 1.7, 2.2, -2.6, 3, 3.3};
static const struct gradient_leaf leaves[] = {LEAF(3, B, T, C),
                                              {.rank = 1, .shape = {N}, .values = diagonal, .fixed = true},
                                              {.rank = 1, .shape = {N}, .values = input, .fixed = true},
                                              LEAF(4, B, 1, N, C)};

static tensor *build(struct graph *graph, tensor *const *all, const void *argument)
{
    (void)graph;
    const struct form *form = argument;
    tensor *final, *initial = form->initial ? all[INITIAL] : NULL;
    tensor *c =
        tensor_legendre_scan(all[X], all[DIAGONAL], all[INPUT], form->ahead, form->before, initial, &final);
    return form->final ? gradient_join(2, (tensor *[]){c, final}) : c;
}

static void has_the_gradients_of_every_form(void **state)
{
    for (int i = 0; i < FORMS; i++)
        check_gradients(build, &forms[i], leaves);
}

static double entry(int n, int k)
{
    return n == k ? (double)diagonal[n] : n > k ? -(double)input[n] * (double)input[k] : 0;
}

/* (1 - (1 - ahead) A / t) c' = (1 + ahead A / t) c + b x / t, solved row by row. */
static void advance(const struct form *form, double t, double x, double c[N])
{
    double right[N];
    for (int n = 0; n < N; n++) {
        right[n] = c[n] + (double)input[n] * x / t;
        for (int k = 0; k < N; k++)
            right[n] += form->ahead * entry(n, k) / t * c[k];
    }
    for (int n = 0; n < N; n++) {
        for (int k = 0; k < n; k++)
            right[n] += (1 - form->ahead) * entry(n, k) / t * c[k];
        c[n] = right[n] / (1 - (1 - form->ahead) * entry(n, n) / t);
    }
}

static void agrees_with_the_definition(void **state)
{
    real *x = leaf_values(leaves, X), *initial = leaf_values(leaves, INITIAL);
    static double want[B * (T + 1) * N * C];
    for (int f = 0; f < FORMS; f++) {
        for (int b = 0; b < B; b++)
            for (int i = 0; i < C; i++) {
                double c[N];
                for (int n = 0; n < N; n++)
                    c[n] = forms[f].initial ? (double)initial[(b * N + n) * C + i] : 0;
                for (int t = 0; t < T; t++) {
                    advance(&forms[f], (double)(forms[f].before + t + 1), (double)x[(b * T + t) * C + i], c);
                    for (int n = 0; n < N; n++)
                        want[((b * T + t) * N + n) * C + i] = c[n];
                }
                for (int n = 0; n < N; n++)
                    want[((B * T + b) * N + n) * C + i] = c[n];
            }
        int64_t size;
        real *got = evaluate(build, &forms[f], leaves, LEAVES, &size);
        assert_int_equal(size, (forms[f].final ? B * (T + 1) : B * T) * N * C);
        expect_near(got, want, size, rounding);
        free(got);
    }
    free(x);
    free(initial);
}

static void refuses_shapes_that_do_not_fit(void **state)
{
    static const char *const told[LEAVES] = {"initial state", "input weights", "input weights",
                                             "initial state"};
    expect_refused_shapes(build, &forms[1], leaves, -1, told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_the_gradients_of_every_form),
        cmocka_unit_test(agrees_with_the_definition),
        cmocka_unit_test(refuses_shapes_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
