#include "base/memory.h"
#include "gradient.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, T = 11, C = 149, N = 3 }; /* channels that no block divides, and no team of blocks */

#ifdef CLADE_DOUBLE
static const double rounding = 1e-12;
#else
static const double rounding = 1e-5;
#endif

struct form {
    bool initial, final;
};
static const struct form forms[] = {{false, false}, {true, false}, {false, true}, {true, true}};
enum { FORMS = sizeof forms / sizeof *forms };

enum { U, DELTA, K, Q, INITIAL, LEAVES };
static const struct gradient_leaf leaves[] = {LEAF(3, B, T, C),
                                              {.rank = 3, .shape = {B, T, C}, .low = 0.1, .high = 1},
                                              LEAF(3, B, T, N),
                                              LEAF(3, B, T, N),
                                              LEAF(3, B, C, N)};

static tensor *build(struct graph *graph, tensor *const *all, const void *argument)
{
    const struct form *form = argument;
    tensor *final, *initial = form->initial ? all[INITIAL] : NULL;
    tensor *y = tensor_regression_scan(all[U], all[DELTA], all[K], all[Q], initial, &final);
    return form->final ? gradient_join(2, (tensor *[]){y, final}) : y;
}

static void has_the_gradients_of_every_form(void **state)
{
    for (int i = 0; i < FORMS; i++)
        check_gradients(build, &forms[i], leaves);
}

static void agrees_with_the_definition(void **state)
{
    real *x[LEAVES];
    for (int i = 0; i < LEAVES; i++)
        x[i] = leaf_values(leaves, i);
    static double want[B * T * C];
    for (int f = 0; f < FORMS; f++) {
        for (int b = 0; b < B; b++)
            for (int c = 0; c < C; c++) {
                double h[N];
                for (int n = 0; n < N; n++)
                    h[n] = forms[f].initial ? (double)x[INITIAL][(b * C + c) * N + n] : 0;
                for (int t = 0; t < T; t++) {
                    int at = (b * T + t) * C + c;
                    double u = (double)x[U][at], delta = (double)x[DELTA][at];
                    want[at] = 0;
                    for (int n = 0; n < N; n++) {
                        double k = (double)x[K][(b * T + t) * N + n], q = (double)x[Q][(b * T + t) * N + n];
                        h[n] = (1 - delta * k * k) * h[n] + delta * u * k;
                        want[at] += q * h[n];
                    }
                }
            }
        int64_t size;
        real *y = evaluate(build, &forms[f], leaves, LEAVES, &size);
        expect_near(y, want, B * T * C, rounding);
        free(y);
    }
    for (int i = 0; i < LEAVES; i++)
        free(x[i]);
}

static tensor *build_cut(struct graph *graph, tensor *const *all, const void *argument)
{
    const int64_t at = *(const int64_t *)argument;
    tensor *kept = NULL, *parts[2];
    for (int i = 0; i < 2; i++) {
        tensor *piece[4];
        for (int j = 0; j < 4; j++)
            piece[j] = tensor_slice(all[j], 1, i ? at : 0, i ? T - at : at);
        parts[i] = tensor_regression_scan(piece[U], piece[DELTA], piece[K], piece[Q], kept, &kept);
    }
    return gradient_join(2, (tensor *[]){tensor_concat(2, parts, 1), kept});
}

static void continues_from_a_last_state(void **state)
{
    static const struct form whole_form = {.final = true};
    int64_t size;
    real *whole = evaluate(build, &whole_form, leaves, LEAVES, &size);
    for (int64_t at = 1; at < T; at++) {
        real *pieces = evaluate(build_cut, &at, leaves, LEAVES, NULL);
        assert_memory_equal(pieces, whole, (size_t)size * sizeof(real));
        free(pieces);
    }
    free(whole);
}

static void refuses_shapes_that_do_not_fit(void **state)
{
    static const struct form all = {.initial = true};
    static const char *const told[LEAVES] = {"rates", "rates", "queries", "queries", "initial state"};
    expect_refused_shapes(build, &all, leaves, 2, told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_the_gradients_of_every_form),
        cmocka_unit_test(agrees_with_the_definition),
        cmocka_unit_test(continues_from_a_last_state),
        cmocka_unit_test(refuses_shapes_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
