/* tensor_recurrence against its definition, its gradients, and its state handed from call to call. */
#include "gradient.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const double tolerance = sizeof(real) == 4 ? 1e-5 : 1e-13;

struct function {
    int64_t squashed;
    bool has_initial;
    int64_t cut; /* > 0: two calls, the second from here on */
};

static tensor *build(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct function *f = argument;
    (void)graph;
    tensor *w = leaves[0], *b = leaves[1], *initial = f->has_initial ? leaves[2] : NULL, *final;
    if (!f->cut) {
        tensor *h = tensor_recurrence(w, b, f->squashed, initial, &final);
        return gradient_join(2, (tensor *[]){h, final});
    }
    int64_t rest = b->shape[1] - f->cut;
    bool varies = w->rank == 3;
    tensor *early = varies ? tensor_slice(w, 0, 0, f->cut) : w,
           *late = varies ? tensor_slice(w, 0, f->cut, rest) : w;
    tensor *first = tensor_recurrence(early, tensor_slice(b, 1, 0, f->cut), f->squashed, initial, &final);
    tensor *second = tensor_recurrence(late, tensor_slice(b, 1, f->cut, rest), f->squashed, final, &final);
    return gradient_join(2, (tensor *[]){tensor_concat(2, (tensor *[]){first, second}, 1), final});
}

/* h [B, T, S] and then the last step of each row. */
static double *define(const struct function *f, const struct gradient_leaf *leaves)
{
    const int64_t *shape = leaves[1].shape, n = shape[2], row = shape[1] * n;
    real *w = leaf_values(leaves, 0), *b = leaf_values(leaves, 1),
         *initial = f->has_initial ? leaf_values(leaves, 2) : NULL;
    double *h = malloc((size_t)(shape[0] * (row + n)) * sizeof *h);
    for (int64_t i = 0; i < shape[0]; i++)
        for (int64_t t = 0; t < shape[1]; t++)
            for (int64_t c = 0; c < n; c++) {
                const real *weights = w + (leaves[0].rank == 3 ? t * n * n : 0) + c * n;
                double sum = (double)b[i * row + t * n + c];
                for (int64_t j = 0; j < n; j++)
                    sum += (double)weights[j] * (t > 0     ? h[i * row + (t - 1) * n + j]
                                                 : initial ? (double)initial[i * n + j]
                                                           : 0);
                h[i * row + t * n + c] = c < f->squashed ? tanh(sum) : sum;
                if (t == shape[1] - 1)
                    h[shape[0] * row + i * n + c] = h[i * row + t * n + c];
            }
    free(w);
    free(b);
    free(initial);
    return h;
}

static void agrees_with_the_definition(void **state)
{
    for (int squashed = 0; squashed <= 5; squashed += squashed ? 2 : 3)
        for (int varies = 0; varies < 2; varies++)
            for (int64_t rows = 1; rows <= 20; rows += 19)
                for (int64_t cut = 0; cut < 5; cut += 4) {
                    struct function f = {squashed, cut == 0, cut};
                    struct gradient_leaf leaves[] = {LEAF(2, 5, 5), LEAF(3, rows, 9, 5), LEAF(3, rows, 1, 5)};
                    if (varies)
                        leaves[0] = (struct gradient_leaf)LEAF(3, 9, 5, 5);
                    leaves[0].low = -0.4, leaves[0].high = 0.4;
                    double *want = define(&f, leaves);
                    int64_t size;
                    real *got = evaluate(build, &f, leaves, 3, &size);
                    assert_int_equal(size, rows * 50);
                    expect_near(got, want, size, tolerance);
                    free(got);
                    free(want);
                }
}

static void has_the_right_gradients(void **state)
{
    for (int varies = 0; varies < 2; varies++)
        for (int64_t cut = 0; cut < 3; cut += 2) {
            struct function f = {3, true, cut};
            struct gradient_leaf leaves[] = {LEAF(2, 4, 4), LEAF(3, 18, 5, 4), LEAF(3, 18, 1, 4)};
            if (varies)
                leaves[0] = (struct gradient_leaf)LEAF(3, 5, 4, 4);
            leaves[0].low = -0.5, leaves[0].high = 0.5;
            check_gradients(build, &f, leaves);
        }
    struct function f = {0, false, 0};
    struct gradient_leaf leaves[] = {LEAF(2, 70, 70), LEAF(3, 1, 3, 70)};
    leaves[0].low = -0.1, leaves[0].high = 0.1;
    check_gradients(build, &f, leaves);
}

static void refuses_shapes_that_do_not_fit(void **state)
{
    struct function f = {0, false, 0}, wide = {7, false, 0};
    struct gradient_leaf matrix[] = {LEAF(2, 5, 4), LEAF(3, 2, 3, 4)};
    assert_string_equal(
        raised_message(build, &f, matrix),
        "recurrence: expected a matrix [S, S], or one for each step, of the inputs' width, got [5, 4]");
    struct gradient_leaf squashed[] = {LEAF(2, 4, 4), LEAF(3, 2, 3, 4)};
    assert_string_equal(raised_message(build, &wide, squashed),
                        "recurrence: expected as many channels as are squashed, got [2, 3, 4]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_definition),
        cmocka_unit_test(has_the_right_gradients),
        cmocka_unit_test(refuses_shapes_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
