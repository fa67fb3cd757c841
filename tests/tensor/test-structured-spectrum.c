/* tensor_structured_spectrum against its definition with full matrices, and its gradients. */
#include "gradient.h"
#include <complex.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SYSTEMS = 2, MODES = 3, RANKS = 2, CHANNELS = 2, STATES = 2 * MODES };
enum { LOG_DT, POLES, INPUTS, LOW_RANK, OUTPUTS, LEAVES };

static const struct gradient_leaf all_leaves[LEAVES] = {
    {.rank = 1, .shape = {SYSTEMS}, .low = -2, .high = -1},
    LEAF(3, SYSTEMS, MODES, 2),
    LEAF(3, SYSTEMS, MODES, 2),
    LEAF(4, SYSTEMS, RANKS, MODES, 2),
    LEAF(4, SYSTEMS, CHANNELS, MODES, 2)};

static tensor *build(struct graph *graph, tensor *const *leaves, const void *argument)
{
    (void)graph;
    /* Poles in the left half plane. */
    tensor *decay = tensor_affine(tensor_slice(leaves[POLES], 2, 0, 1), 0.4, -0.5);
    tensor *poles =
        tensor_concat(2, (tensor *[]){decay, tensor_scale(tensor_slice(leaves[POLES], 2, 1, 1), 3)}, 2);
    return tensor_structured_spectrum(leaves[LOG_DT], poles, leaves[INPUTS], leaves[LOW_RANK],
                                      leaves[OUTPUTS], *(const int64_t *)argument);
}

/* Entry i of a vector of one half of the pairs. */
static double complex whole(const real *half, int64_t i)
{
    const real *z = half + i % MODES * 2;
    return (double)z[0] + (i < MODES ? I : -I) * (double)z[1];
}

/* x of A x = b by elimination with row exchanges; both are overwritten. */
static void solve(double complex A[STATES][STATES], double complex b[STATES])
{
    for (int k = 0; k < STATES; k++) {
        int pivot = k;
        for (int i = k + 1; i < STATES; i++)
            pivot = cabs(A[i][k]) > cabs(A[pivot][k]) ? i : pivot;
        for (int j = 0; j < STATES; j++) {
            double complex swapped = A[k][j];
            A[k][j] = A[pivot][j], A[pivot][j] = swapped;
        }
        double complex swapped = b[k];
        b[k] = b[pivot], b[pivot] = swapped;
        for (int i = 0; i < STATES; i++) {
            double complex factor = i == k ? 0 : A[i][k] / A[k][k];
            for (int j = 0; j < STATES; j++)
                A[i][j] -= factor * A[k][j];
            b[i] -= factor * b[k];
        }
    }
    for (int i = 0; i < STATES; i++)
        b[i] /= A[i][i];
}

/* C (1 - A' w)^-1 B' = C ((1 - dt/2 M) - w (1 + dt/2 M))^-1 dt B */
static double complex definition(real *const *values, int64_t h, int64_t channel, int64_t k, int64_t length)
{
    double dt = exp((double)values[LOG_DT][h]);
    double complex w = cexp(-2 * M_PI * I * (double)k / (double)length), A[STATES][STATES], x[STATES],
                   sum = 0;
    for (int64_t i = 0; i < STATES; i++) {
        const real *pole = values[POLES] + (h * MODES + i % MODES) * 2;
        double complex a = 0.4 * (double)pole[0] - 0.5 + (i < MODES ? I : -I) * 3 * (double)pole[1];
        for (int64_t j = 0; j < STATES; j++) {
            double complex m = i == j ? a : 0, one = i == j;
            for (int64_t r = 0; r < RANKS; r++) {
                const real *p = values[LOW_RANK] + (h * RANKS + r) * MODES * 2;
                m -= whole(p, i) * conj(whole(p, j));
            }
            A[i][j] = (one - dt / 2 * m) - w * (one + dt / 2 * m);
        }
        x[i] = dt * whole(values[INPUTS] + h * MODES * 2, i);
    }
    solve(A, x);
    for (int64_t i = 0; i < STATES; i++)
        sum += whole(values[OUTPUTS] + (h * CHANNELS + channel) * MODES * 2, i) * x[i];
    return sum;
}

static void is_the_definition(void **state)
{
    real *values[LEAVES];
    for (int i = 0; i < LEAVES; i++)
        values[i] = leaf_values(all_leaves, i);
    for (int64_t length = 1; length <= 400; length = 3 * length + 1) {
        int64_t size, frequencies = length / 2 + 1;
        real *got = evaluate(build, &length, all_leaves, LEAVES, &size);
        assert_int_equal(size, SYSTEMS * CHANNELS * frequencies * 2);
        double *want = malloc((size_t)size * sizeof *want);
        for (int64_t i = 0; i < size / 2; i++) {
            double complex z = definition(values, i / frequencies / CHANNELS, i / frequencies % CHANNELS,
                                          i % frequencies, length);
            want[2 * i] = creal(z), want[2 * i + 1] = cimag(z);
        }
        expect_near(got, want, size, sizeof(real) == 4 ? 1e-5 : 1e-10);
        free(want);
        free(got);
    }
    for (int i = 0; i < LEAVES; i++)
        free(values[i]);
}

static void has_the_right_gradients(void **state)
{
    for (int64_t length = 1; length <= 300; length += 149) {
        struct gradient_leaf leaves[LEAVES];
        memcpy(leaves, all_leaves, sizeof leaves);
        check_gradients(build, &length, leaves);
    }
}

static void refuses_shapes_that_do_not_fit(void **state)
{
    int64_t length = 4;
    struct gradient_leaf leaves[LEAVES];
    memcpy(leaves, all_leaves, sizeof leaves);
    leaves[INPUTS].shape[1] = MODES + 1;
    assert_string_equal(raised_message(build, &length, leaves),
                        "structured_spectrum: expected inputs [H, N, 2], got [2, 4, 2]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_the_definition),
        cmocka_unit_test(has_the_right_gradients),
        cmocka_unit_test(refuses_shapes_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
