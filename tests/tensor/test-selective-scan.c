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

enum { X, DELTA, A, B, C, INITIAL, INPUTS };

struct selective_case {
    int64_t batch, steps, channels, states;
    bool initial, final;
    double longest; /* step; 0: 0.3 */
};

static int make_leaves(const struct selective_case *c, struct gradient_leaf *leaves)
{
    leaves[X] = (struct gradient_leaf)LEAF(3, c->batch, c->steps, c->channels);
    leaves[DELTA] = leaves[X];
    leaves[DELTA].low = 0.01;
    leaves[DELTA].high = c->longest > 0 ? c->longest : 0.3;
    leaves[A] = (struct gradient_leaf)LEAF(2, c->channels, c->states);
    leaves[A].low = -4;
    leaves[A].high = -0.1;
    leaves[B] = leaves[C] = (struct gradient_leaf)LEAF(3, c->batch, c->steps, c->states);
    leaves[INITIAL] = (struct gradient_leaf)LEAF(3, c->batch, c->channels, c->states);
    return c->initial ? INPUTS : INITIAL;
}

static tensor *build(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct selective_case *c = argument;
    tensor *final, *y = tensor_selective_scan(leaves[X], leaves[DELTA], leaves[A], leaves[B], leaves[C],
                                              c->initial ? leaves[INITIAL] : NULL, &final);
    return c->final ? gradient_join(2, (tensor *[]){y, final}) : y;
}

static void has_its_gradients(void **state)
{
    /* Channels and states that no vector's length divides, steps around a chunk's. */
    static const struct selective_case cases[] = {
        {2, 1, 3, 2, true, true},    {2, 5, 3, 2, false, false}, {2, 5, 17, 16, true, true},
        {1, 31, 16, 4, true, true},  {1, 32, 5, 3, true, false}, {1, 33, 5, 19, true, true},
        {2, 70, 66, 3, false, true}, {1, 64, 2, 1, true, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gradient_leaf leaves[INPUTS];
        int count = make_leaves(&cases[i], leaves);
        check_gradients_at(__FILE__, __LINE__, build, &cases[i], leaves, count);
    }
}

/* ---- The definition ---- */

static void expect_definition(const struct selective_case *c)
{
    struct gradient_leaf leaves[INPUTS];
    int count = make_leaves(c, leaves);
    int64_t size, T = c->steps, D = c->channels, N = c->states;
    tensor_set_threads(1); /* many small runs; other numbers are check_gradients()'s business */
    real *y = evaluate(build, c, leaves, count, &size), *v[INPUTS] = {NULL};
    for (int i = 0; i < count; i++)
        v[i] = leaf_values(leaves, i);
    double *want = memory_allocate_zero((size_t)(c->batch * (T * D + D * N)), sizeof *want);
    double *h = want + c->batch * T * D;
    for (int64_t b = 0; b < c->batch; b++)
        for (int64_t channel = 0; channel < D; channel++)
            for (int64_t n = 0; n < N; n++) {
                double *state = h + (b * D + channel) * N + n;
                *state = c->initial ? (double)v[INITIAL][(b * D + channel) * N + n] : 0;
                for (int64_t t = 0; t < T; t++) {
                    int64_t at = (b * T + t) * D + channel, map = (b * T + t) * N + n;
                    double delta = (double)v[DELTA][at];
                    *state = exp(delta * (double)v[A][channel * N + n]) * *state +
                             delta * (double)v[B][map] * (double)v[X][at];
                    want[at] += (double)v[C][map] * *state;
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
    static const int64_t lengths[] = {1, 2, 31, 32, 33, 63, 1000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (int states = 0; states < 4; states++) {
            struct selective_case c = {2, lengths[i], 19, 16, states & 1, states & 2};
            expect_definition(&c);
            c.channels = 600;
            c.batch = 1;
            if (lengths[i] < 100)
                expect_definition(&c);
        }
}

/* exp(delta A) from 1 down to what no float holds. */
static void agrees_with_the_definition_for_steps_of_every_length(void **state)
{
    static const double longest[] = {0.011, 1, 10, 100, 1e4};
    for (size_t i = 0; i < sizeof longest / sizeof *longest; i++)
        expect_definition(&(struct selective_case){1, 40, 20, 5, true, true, longest[i]});
}

static tensor *build_cut(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const int64_t at = *(const int64_t *)argument, length = leaves[X]->shape[1];
    tensor *state = NULL, *parts[2];
    for (int i = 0; i < 2; i++) {
        tensor *in[INITIAL];
        for (int j = 0; j < INITIAL; j++)
            in[j] = j == A ? leaves[A] : tensor_slice(leaves[j], 1, i ? at : 0, i ? length - at : at);
        parts[i] = tensor_selective_scan(in[X], in[DELTA], in[A], in[B], in[C], state, &state);
    }
    return gradient_join(2, (tensor *[]){tensor_concat(2, parts, 1), state});
}

static void continues_from_a_last_state(void **state)
{
    struct selective_case c = {2, 70, 19, 16, false, true};
    struct gradient_leaf leaves[INPUTS];
    int count = make_leaves(&c, leaves);
    int64_t size;
    real *whole = evaluate(build, &c, leaves, count, &size);
    double *want = memory_allocate((size_t)size * sizeof *want);
    for (int64_t i = 0; i < size; i++)
        want[i] = (double)whole[i];
    for (int64_t at = 1; at < 70; at += 17) {
        real *pieces = evaluate(build_cut, &at, leaves, count, NULL);
        expect_near(pieces, want, size, rounding);
        free(pieces);
    }
    free(whole);
    free(want);
}

static void refuses_shapes_that_do_not_fit(void **state)
{
    static const struct selective_case with_state = {.initial = true};
    struct gradient_leaf leaves[INPUTS], changed[INPUTS];
    make_leaves(&(struct selective_case){2, 5, 6, 4, true}, leaves);
    static const struct {
        int input, axis;
        const char *message;
    } cases[] = {
        {DELTA, 1, "selective_scan: expected steps of x's shape, got [2, 6, 6]"},
        {A, 0, "selective_scan: expected A [C, N], got [7, 4]"},
        {B, 2, "selective_scan: expected B and C [B, T, N], got [2, 5, 5]"},
        {C, 1, "selective_scan: expected B and C [B, T, N], got [2, 6, 4]"},
        {INITIAL, 1, "selective_scan: expected an initial state [B, C, N], got [2, 7, 4]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        memcpy(changed, leaves, sizeof changed);
        changed[cases[i].input].shape[cases[i].axis]++;
        assert_string_equal(raised_message(build, &with_state, changed), cases[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_its_gradients),
        cmocka_unit_test(agrees_with_the_definition),
        cmocka_unit_test(agrees_with_the_definition_for_steps_of_every_length),
        cmocka_unit_test(continues_from_a_last_state),
        cmocka_unit_test(refuses_shapes_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
