#include "base/memory.h"
#include "gradient.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef CLADE_DOUBLE
static const double rounding = 1e-12;
#else
static const double rounding = 1e-5;
#endif

struct scan_case {
    bool complex, initial, final;
    int a_rank, b_rank; /* the last axis of complex numbers not counted */
    int64_t a[TENSOR_MAX_RANK], b[TENSOR_MAX_RANK];
};

static const struct scan_case cases[] = {
    {.a_rank = 3, .b_rank = 3, .a = {2, 7, 5}, .b = {2, 7, 5}},
    {.a_rank = 3, .b_rank = 3, .a = {2, 7, 5}, .b = {2, 7, 5}, .initial = true},
    {.a_rank = 3, .b_rank = 3, .a = {2, 7, 5}, .b = {2, 7, 5}, .final = true},
    {.a_rank = 3, .b_rank = 3, .a = {2, 7, 5}, .b = {2, 7, 5}, .initial = true, .final = true},
    /* channels that no block size divides */
    {.a_rank = 3, .b_rank = 3, .a = {1, 3, 300}, .b = {1, 3, 300}, .initial = true, .final = true},
    {.a_rank = 1, .b_rank = 3, .a = {300}, .b = {2, 5, 300}, .initial = true, .final = true},
    {.a_rank = 1, .b_rank = 3, .a = {1}, .b = {2, 5, 300}, .initial = true, .final = true},
    /* factors that are the same for all of something */
    {.a_rank = 1, .b_rank = 3, .a = {5}, .b = {2, 7, 5}, .initial = true},
    {.a_rank = 3, .b_rank = 3, .a = {1, 7, 1}, .b = {2, 7, 5}, .initial = true},
    {.a_rank = 3, .b_rank = 3, .a = {2, 7, 1}, .b = {2, 7, 5}, .initial = true},
    {.a_rank = 3, .b_rank = 3, .a = {2, 1, 5}, .b = {2, 7, 5}, .initial = true},
    {.a_rank = 3, .b_rank = 3, .a = {1, 7, 5}, .b = {2, 7, 5}, .initial = true},
    {.a_rank = 1, .b_rank = 2, .a = {1}, .b = {2, 7}, .initial = true, .final = true},
    {.a_rank = 4, .b_rank = 4, .a = {2, 7, 3, 1}, .b = {2, 7, 3, 4}, .initial = true, .final = true},
    {.a_rank = 4, .b_rank = 4, .a = {2, 7, 1, 4}, .b = {2, 7, 3, 4}, .initial = true, .final = true},
    {.a_rank = 2, .b_rank = 4, .a = {3, 1}, .b = {2, 7, 3, 4}, .initial = true, .final = true},
    {.a_rank = 1, .b_rank = 4, .a = {4}, .b = {2, 7, 3, 4}, .initial = true, .final = true},
    {.a_rank = 5, .b_rank = 5, .a = {2, 4, 3, 1, 2}, .b = {2, 4, 3, 2, 2}, .initial = true, .final = true},
    {.a_rank = 5, .b_rank = 5, .a = {1, 4, 1, 2, 1}, .b = {2, 4, 3, 2, 2}, .initial = true, .final = true},
    {.a_rank = 3, .b_rank = 3, .a = {2, 1, 5}, .b = {2, 1, 5}, .initial = true, .final = true},
};
enum { CASES = sizeof cases / sizeof *cases };

static tensor *build(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct scan_case *c = argument;
    tensor *final, *initial = c->initial ? leaves[2] : NULL;
    tensor *h = (c->complex ? tensor_scan_complex : tensor_scan)(leaves[0], leaves[1], initial, &final);
    return c->final ? gradient_join(2, (tensor *[]){h, final}) : h;
}

static int make_leaves(const struct scan_case *c, struct gradient_leaf *leaves)
{
    int parts = c->complex ? 1 : 0;
    leaves[0] = (struct gradient_leaf){.rank = c->a_rank + parts, .low = -0.9, .high = 0.9};
    leaves[1] = (struct gradient_leaf){.rank = c->b_rank + parts};
    memcpy(leaves[0].shape, c->a, sizeof c->a);
    memcpy(leaves[1].shape, c->b, sizeof c->b);
    if (c->complex)
        leaves[0].shape[c->a_rank] = leaves[1].shape[c->b_rank] = 2;
    leaves[2] = leaves[1];
    leaves[2].shape[1] = 1;
    return c->initial ? 3 : 2;
}

static void check_case(struct scan_case c)
{
    struct gradient_leaf leaves[3];
    int count = make_leaves(&c, leaves);
    check_gradients_at(__FILE__, __LINE__, build, &c, leaves, count);
}

static void has_the_gradients_of_every_broadcast(void **state)
{
    for (int i = 0; i < CASES; i++)
        check_case(cases[i]);
}

static void has_the_gradients_of_every_complex_broadcast(void **state)
{
    for (int i = 0; i < CASES; i++)
        if (cases[i].b_rank < TENSOR_MAX_RANK) {
            struct scan_case c = cases[i];
            c.complex = true;
            check_case(c);
        }
}

/* ---- The definition ---- */

/* Where entry `number` of b's index space reads an array that broadcasts to it. */
static int64_t broadcast_at(int rank, const int64_t *shape, int b_rank, const int64_t *b, int64_t number)
{
    int64_t at = 0, step = 1;
    for (int i = b_rank - 1; i >= 0; i--) {
        int64_t index = number % b[i];
        int axis = i - (b_rank - rank);
        number /= b[i];
        if (axis < 0)
            continue;
        at += shape[axis] == 1 ? 0 : index * step;
        step *= shape[axis];
    }
    return at;
}

static void agrees_with_the_definition(struct scan_case c)
{
    struct gradient_leaf leaves[3];
    int count = make_leaves(&c, leaves);
    c.final = false;
    tensor_set_threads(1); /* many small runs; other numbers are check_gradients()'s business */
    int64_t size, step = 1, n = c.complex ? 2 : 1;
    real *h = evaluate(build, &c, leaves, count, &size), *a = leaf_values(leaves, 0),
         *b = leaf_values(leaves, 1);
    real *initial = c.initial ? leaf_values(leaves, 2) : NULL;
    double *want = memory_allocate((size_t)size * sizeof *want);
    for (int i = 2; i < c.b_rank; i++)
        step *= c.b[i];
    for (int64_t i = 0; i < size / n; i++) {
        int64_t t = i / step % c.b[1], batch = i / step / c.b[1];
        int64_t f = broadcast_at(c.a_rank, c.a, c.b_rank, c.b, i), before = batch * step + i % step;
        for (int64_t part = 0; part < n; part++) {
            double re = t ? want[(i - step) * n] : initial ? (double)initial[before * n] : 0;
            double im = n == 1    ? 0
                        : t       ? want[(i - step) * n + 1]
                        : initial ? (double)initial[before * n + 1]
                                  : 0;
            double a_re = (double)a[f * n], a_im = n == 1 ? 0 : (double)a[f * n + 1];
            want[i * n + part] =
                (part ? a_re * im + a_im * re : a_re * re - a_im * im) + (double)b[i * n + part];
        }
    }
    expect_near(h, want, size, rounding);
    free(h);
    free(a);
    free(b);
    free(initial);
    free(want);
}

static void agrees_with_the_definition_for_every_broadcast(void **state)
{
    for (int i = 0; i < CASES; i++)
        for (int complex = 0; complex < 2; complex++) {
            struct scan_case c = cases[i];
            c.complex = complex;
            agrees_with_the_definition(c);
        }
}

static void agrees_with_the_definition_over_long_sequences(void **state)
{
    agrees_with_the_definition(
        (struct scan_case){.a_rank = 3, .b_rank = 3, .a = {1, 1000, 70}, .b = {1, 1000, 70}});
    agrees_with_the_definition((struct scan_case){.a_rank = 1, .b_rank = 3, .a = {70}, .b = {1, 1000, 70}});
    agrees_with_the_definition((struct scan_case){
        .complex = true, .a_rank = 3, .b_rank = 3, .a = {1, 1000, 35}, .b = {1, 1000, 35}});
}

/* ---- States ---- */

static tensor *build_cut(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const int64_t at = *(const int64_t *)argument, length = leaves[1]->shape[1];
    tensor *middle, *last, *a[2], *b[2];
    for (int i = 0; i < 2; i++) {
        int64_t start = i ? at : 0, count = i ? length - at : at;
        a[i] = tensor_slice(leaves[0], 1, start, count);
        b[i] = tensor_slice(leaves[1], 1, start, count);
    }
    tensor *parts[] = {tensor_scan(a[0], b[0], NULL, &middle), tensor_scan(a[1], b[1], middle, &last)};
    return gradient_join(2, (tensor *[]){tensor_concat(2, parts, 1), last});
}

static void continues_from_a_last_state(void **state)
{
    struct scan_case c = {.final = true, .a_rank = 3, .b_rank = 3, .a = {2, 9, 70}, .b = {2, 9, 70}};
    struct gradient_leaf leaves[3];
    int count = make_leaves(&c, leaves);
    int64_t size;
    real *whole = evaluate(build, &c, leaves, count, &size);
    for (int64_t at = 1; at < 9; at++) {
        real *pieces = evaluate(build_cut, &at, leaves, count, NULL);
        assert_memory_equal(pieces, whole, (size_t)size * sizeof(real));
        free(pieces);
    }
    free(whole);
}

/* ---- Refusals ---- */

static void refuses_shapes_that_do_not_fit(void **state)
{
    static const struct scan_case real_case = {.initial = true},
                                  complex_case = {.complex = true, .initial = true};
    struct gradient_leaf factors[] = {LEAF(2, 7, 5), LEAF(3, 2, 6, 5), LEAF(3, 2, 1, 5)};
    assert_string_equal(raised_message(build, &real_case, factors),
                        "scan: expected factors that broadcast to the inputs, got [7, 5]");
    struct gradient_leaf states[] = {LEAF(1, 5), LEAF(3, 2, 6, 5), LEAF(3, 2, 2, 5)};
    assert_string_equal(
        raised_message(build, &real_case, states),
        "scan: expected an initial state of the inputs' shape with length 1 on axis 1, got [2, 2, 5]");
    struct gradient_leaf parts[] = {LEAF(1, 2), LEAF(3, 2, 6, 3), LEAF(3, 2, 1, 3)};
    assert_string_equal(raised_message(build, &complex_case, parts),
                        "scan: expected inputs [B, T, .., 2], got [2, 6, 3]");
    struct gradient_leaf flat[] = {LEAF(1, 1), LEAF(4, 2, 6, 3, 2), LEAF(4, 2, 1, 3, 2)};
    assert_string_equal(raised_message(build, &complex_case, flat),
                        "scan: expected factors [.., 2] that broadcast to the inputs, got [1]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_the_gradients_of_every_broadcast),
        cmocka_unit_test(has_the_gradients_of_every_complex_broadcast),
        cmocka_unit_test(agrees_with_the_definition_for_every_broadcast),
        cmocka_unit_test(agrees_with_the_definition_over_long_sequences),
        cmocka_unit_test(continues_from_a_last_state),
        cmocka_unit_test(refuses_shapes_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
