/* tensor_sine_network against sines of sums written out, and its gradients. */
#include "gradient.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ROWS = 5, INPUTS = 3, HIDDEN = 4, MOST = 3 };

/* Leaves: z, f, then W and b of each layer. */
static tensor *build(struct graph *graph, tensor *const *leaves, const void *argument)
{
    int64_t layers = *(const int64_t *)argument;
    tensor *weights[MOST], *biases[MOST];
    (void)graph;
    for (int64_t i = 0; i < layers; i++)
        weights[i] = leaves[2 + 2 * i], biases[i] = leaves[3 + 2 * i];
    return tensor_sine_network(leaves[0], leaves[1], 12, layers, weights, biases);
}

static const struct gradient_leaf all_leaves[] = {
    LEAF(2, ROWS, INPUTS),   LEAF(1, HIDDEN), LEAF(2, HIDDEN, INPUTS), LEAF(1, HIDDEN),
    LEAF(2, HIDDEN, HIDDEN), LEAF(1, HIDDEN), LEAF(2, HIDDEN, HIDDEN), LEAF(1, HIDDEN)};

/* The largest error of a high frequency's sines is that of storing them, in either precision. */
static void computes_in_double_precision(void **state)
{
    for (int64_t layers = 1; layers <= MOST; layers++) {
        int count = 2 + 2 * (int)layers;
        int64_t size;
        real *got = evaluate(build, &layers, all_leaves, count, &size), *values[2 + 2 * MOST];
        double want[ROWS * HIDDEN];
        for (int i = 0; i < count; i++)
            values[i] = leaf_values(all_leaves, i);
        assert_int_equal(size, ROWS * HIDDEN);
        for (int64_t r = 0; r < ROWS; r++) {
            double z[HIDDEN] = {0}, next[HIDDEN];
            for (int64_t i = 0; i < INPUTS; i++)
                z[i] = (double)values[0][r * INPUTS + i];
            for (int64_t layer = 0; layer < layers; layer++) {
                int64_t below = layer ? HIDDEN : INPUTS;
                for (int64_t o = 0; o < HIDDEN; o++) {
                    double sum = (double)values[3 + 2 * layer][o];
                    for (int64_t i = 0; i < below; i++)
                        sum += (double)values[2 + 2 * layer][o * below + i] * z[i];
                    next[o] = sin(12 * (double)values[1][o] * sum);
                }
                for (int64_t o = 0; o < HIDDEN; o++)
                    z[o] = next[o];
            }
            for (int64_t o = 0; o < HIDDEN; o++)
                want[r * HIDDEN + o] = z[o];
        }
        expect_near(got, want, size, sizeof(real) == 4 ? 1e-7 : 1e-11);
        for (int i = 0; i < count; i++)
            free(values[i]);
        free(got);
    }
}

/* At lower frequencies, where differences of single precision still tell something. */
static tensor *build_slow(struct graph *graph, tensor *const *leaves, const void *argument)
{
    (void)graph, (void)argument;
    return tensor_sine_network(leaves[0], leaves[1], 0.7, 2, (tensor *[]){leaves[2], leaves[4]},
                               (tensor *[]){leaves[3], leaves[5]});
}

static void has_the_right_gradients(void **state)
{
    const struct gradient_leaf leaves[] = {LEAF(2, ROWS, INPUTS),   LEAF(1, HIDDEN),
                                           LEAF(2, HIDDEN, INPUTS), LEAF(1, HIDDEN),
                                           LEAF(2, HIDDEN, HIDDEN), LEAF(1, HIDDEN)};
    check_gradients(build_slow, NULL, leaves);
}

static void refuses_shapes_that_do_not_fit(void **state)
{
    const struct gradient_leaf leaves[] = {LEAF(2, ROWS, INPUTS),   LEAF(1, HIDDEN),
                                           LEAF(2, HIDDEN, INPUTS), LEAF(1, HIDDEN),
                                           LEAF(2, HIDDEN, INPUTS), LEAF(1, HIDDEN)};
    assert_string_equal(raised_message(build_slow, NULL, leaves),
                        "sine_network: expected a weight [hidden, channels before], got [4, 3]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(computes_in_double_precision),
        cmocka_unit_test(has_the_right_gradients),
        cmocka_unit_test(refuses_shapes_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
