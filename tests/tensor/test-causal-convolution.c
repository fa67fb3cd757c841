#include "base/memory.h"
#include "gradient.h"
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

struct convolution_case {
    int64_t batch, steps, channels, taps;
    bool bias, previous;
};

static int make_leaves(const struct convolution_case *c, struct gradient_leaf *leaves)
{
    int count = 2;
    leaves[0] = (struct gradient_leaf)LEAF(3, c->batch, c->steps, c->channels);
    leaves[1] = (struct gradient_leaf)LEAF(2, c->channels, c->taps);
    if (c->bias)
        leaves[count++] = (struct gradient_leaf)LEAF(1, c->channels);
    if (c->previous)
        leaves[count++] = (struct gradient_leaf)LEAF(3, c->batch, c->taps - 1, c->channels);
    return count;
}

static tensor *build(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct convolution_case *c = argument;
    return tensor_causal_convolution(leaves[0], leaves[1], c->bias ? leaves[2] : NULL,
                                     c->previous ? leaves[c->bias ? 3 : 2] : NULL);
}

static void expect_definition(const struct convolution_case *c)
{
    struct gradient_leaf leaves[4];
    int count = make_leaves(c, leaves);
    int64_t size, D = c->channels, K = c->taps;
    tensor_set_threads(1); /* many small runs; other numbers are check_gradients()'s business */
    real *y = evaluate(build, c, leaves, count, &size), *v[4] = {NULL};
    for (int i = 0; i < count; i++)
        v[i] = leaf_values(leaves, i);
    const real *previous = c->previous ? v[count - 1] : NULL;
    double *want = memory_allocate_zero((size_t)size, sizeof *want);
    for (int64_t i = 0; i < size; i++) {
        int64_t channel = i % D, t = i / D % c->steps, b = i / D / c->steps;
        want[i] = c->bias ? (double)v[2][channel] : 0;
        for (int64_t j = 0; j < K; j++) {
            int64_t from = t - K + 1 + j;
            double x = from >= 0  ? (double)v[0][(b * c->steps + from) * D + channel]
                       : previous ? (double)previous[(b * (K - 1) + K - 1 + from) * D + channel]
                                  : 0;
            want[i] += (double)v[1][channel * K + j] * x;
        }
    }
    expect_near(y, want, size, rounding);
    free(y);
    free(want);
    for (int i = 0; i < count; i++)
        free(v[i]);
}

static void agrees_with_the_definition(void **state)
{
    static const int64_t lengths[] = {1, 2, 3, 4, 15, 16, 17, 63, 64, 65, 300};
    static const int64_t taps[] = {1, 2, 3, 4, 5, 7, 8, 31};
    static const int64_t widths[] = {1, 5, 16, 37, 64, 100};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (size_t j = 0; j < sizeof taps / sizeof *taps; j++)
            for (size_t k = 0; k < sizeof widths / sizeof *widths; k++) {
                bool bias = (i + j + k) & 1, previous = ((i + j + k) & 2) && taps[j] > 1;
                expect_definition(
                    &(struct convolution_case){2, lengths[i], widths[k], taps[j], bias, previous});
            }
}

static void has_its_gradients(void **state)
{
    static const struct convolution_case cases[] = {
        {2, 1, 3, 1, true, false},   {2, 5, 3, 2, true, true},    {2, 2, 3, 4, true, true},
        {2, 9, 37, 3, false, true},  {1, 70, 37, 4, true, false}, {2, 20, 5, 7, false, true},
        {1, 5, 20, 9, false, false}, {1, 130, 3, 4, true, true},  {1, 3, 5, 70, true, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gradient_leaf leaves[4];
        int count = make_leaves(&cases[i], leaves);
        check_gradients_at(__FILE__, __LINE__, build, &cases[i], leaves, count);
    }
}

static void refuses_shapes_that_do_not_fit(void **state)
{
    static const struct convolution_case all = {.bias = true, .previous = true};
    struct gradient_leaf leaves[4], changed[4];
    make_leaves(&(struct convolution_case){2, 5, 6, 4, true, true}, leaves);
    static const struct {
        int input, axis;
        const char *message;
    } cases[] = {
        {1, 0, "causal_convolution: expected taps [C, K], got [7, 4]"},
        {2, 0, "causal_convolution: expected a bias [C], got [7]"},
        {3, 1, "causal_convolution: expected earlier inputs [B, K - 1, C], got [2, 4, 6]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        memcpy(changed, leaves, sizeof changed);
        changed[cases[i].input].shape[cases[i].axis]++;
        assert_string_equal(raised_message(build, &all, changed), cases[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_definition),
        cmocka_unit_test(has_its_gradients),
        cmocka_unit_test(refuses_shapes_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
