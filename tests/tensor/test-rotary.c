#include "base/memory.h"
#include "gradient.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#ifdef CLADE_DOUBLE
static const double value_tolerance = 1e-14;
#else
static const double value_tolerance = 1e-6;
#endif

struct rotary_case {
    int64_t batch, positions, heads, width, pairs;
    bool interleaved;
};

static const struct rotary_case cases[] = {
    {2, 5, 3, 8, 4, false},   {2, 5, 3, 8, 4, true},      {1, 7, 2, 9, 3, false}, {1, 7, 2, 9, 3, true},
    {2, 4, 1, 2, 1, false},   {2, 4, 1, 2, 1, true},      {1, 1, 2, 6, 0, false}, {1, 33, 2, 64, 32, false},
    {1, 33, 2, 64, 32, true}, {1, 1000, 1, 32, 10, true},
};
enum { CASES = sizeof cases / sizeof *cases };

static tensor *build(struct graph *graph, tensor *const *leaves, const void *argument)
{
    const struct rotary_case *c = argument;
    return tensor_rotary(leaves[0], leaves[1], c->interleaved);
}

static void leaves_of(const struct rotary_case *c, struct gradient_leaf *leaves)
{
    leaves[0] = (struct gradient_leaf)LEAF(4, c->batch, c->positions, c->heads, c->width);
    leaves[1] = (struct gradient_leaf)LEAF(2, c->positions, c->pairs);
    leaves[1].low = -4;
    leaves[1].high = 4;
}

static void turns_pairs_by_their_angles(void **state)
{
    for (int i = 0; i < CASES; i++) {
        const struct rotary_case *c = &cases[i];
        struct gradient_leaf leaves[2];
        leaves_of(c, leaves);
        int64_t size;
        real *x = leaf_values(leaves, 0), *angles = leaf_values(leaves, 1);
        real *got = evaluate(build, c, leaves, 2, &size);
        double *want = memory_allocate((size_t)size * sizeof *want);
        for (int64_t j = 0; j < size; j++)
            want[j] = (double)x[j];
        for (int64_t row = 0; row < c->batch * c->positions * c->heads; row++)
            for (int64_t p = 0; p < c->pairs; p++) {
                double angle = (double)angles[row / c->heads % c->positions * c->pairs + p];
                int64_t first = row * c->width + (c->interleaved ? 2 * p : p);
                int64_t second = first + (c->interleaved ? 1 : c->pairs);
                want[first] = (double)x[first] * cos(angle) - (double)x[second] * sin(angle);
                want[second] = (double)x[first] * sin(angle) + (double)x[second] * cos(angle);
            }
        expect_near(got, want, size, value_tolerance);
        free(want);
        free(got);
        free(angles);
        free(x);
    }
}

static void has_the_gradient_by_channels_and_angles(void **state)
{
    for (int i = 0; i < CASES; i++) {
        struct gradient_leaf leaves[2];
        leaves_of(&cases[i], leaves);
        check_gradients(build, &cases[i], leaves);
        leaves[1].fixed = true;
        check_gradients(build, &cases[i], leaves);
    }
}

static void is_undone_by_opposite_angles(void **state)
{
    enum { POSITIONS = 3, WIDTH = 4 };
    struct pool *pool = pool_create();
    struct graph *graph = graph_create(pool, false);
    real data[POSITIONS * WIDTH], turns[POSITIONS * WIDTH / 2];
    for (int i = 0; i < POSITIONS * WIDTH; i++)
        data[i] = (real)(i - 5);
    for (int i = 0; i < POSITIONS * WIDTH / 2; i++)
        turns[i] = (real)(1000 * i); /* far positions too */
    tensor *x = tensor_leaf(graph, data, 4, SHAPE(1, POSITIONS, 1, WIDTH), false);
    tensor *angles = tensor_leaf(graph, turns, 2, SHAPE(POSITIONS, WIDTH / 2), false);
    tensor *y = graph_keep(tensor_rotary(tensor_rotary(x, angles, true), tensor_negate(angles), true));
    graph_run(graph);
    for (int i = 0; i < POSITIONS * WIDTH; i++)
        assert_true(fabs((double)(y->data[i] - data[i])) < 1e-5);
    graph_free(graph);
    pool_free(pool);
}

static void refuses_angles_that_do_not_fit(void **state)
{
    struct gradient_leaf leaves[] = {LEAF(4, 1, 5, 2, 6), LEAF(2, 4, 3)};
    assert_string_equal(raised_message(build, &cases[0], leaves),
                        "rotary: angles [4, 3] do not fit [1, 5, 2, 6], expected [5, at most 3]");
    struct gradient_leaf wide[] = {LEAF(4, 1, 5, 2, 6), LEAF(2, 5, 4)};
    assert_string_equal(raised_message(build, &cases[0], wide),
                        "rotary: angles [5, 4] do not fit [1, 5, 2, 6], expected [5, at most 3]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns_pairs_by_their_angles),
        cmocka_unit_test(has_the_gradient_by_channels_and_angles),
        cmocka_unit_test(is_undone_by_opposite_angles),
        cmocka_unit_test(refuses_angles_that_do_not_fit),
    };
    return cmocka_run_group_tests_name("rotary", tests, NULL, NULL);
}
