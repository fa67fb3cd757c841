/* polynomial-step.h: the system of HiPPO's projections taken from one token to the next, c_t = E c_{t-1} + G
 * f_t (hippo, section 2.3 and appendix C). */
#ifndef CLADE_KERNELS_POLYNOMIAL_STEP_H
#define CLADE_KERNELS_POLYNOMIAL_STEP_H

#include "block/hippo.h"
#include "block/system.h"
#include <math.h>

enum { POLYNOMIAL_MOST_STATES = 256 };

static inline enum hippo_measure measure_of(const struct scope *s)
{
    return option_is(s, "measure", "legs") ? HIPPO_LEGS : HIPPO_LMU;
}

/* For init_function(): A [N, N] and B [N]. */
static inline void fill_projection(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    double A[POLYNOMIAL_MOST_STATES * POLYNOMIAL_MOST_STATES], B[POLYNOMIAL_MOST_STATES];
    hippo_matrices(measure_of(s), shape[0], A, B);
    for (int64_t i = 0; i < (rank == 1 ? shape[0] : shape[0] * shape[0]); i++)
        values[i] = (real)(rank == 1 ? B : A)[i];
}

/* E and G side by side, [count, N, N + 1], for `count` tokens after `before`; a fixed step has one. */
static inline tensor *held(struct scope *s, int64_t n, int64_t before, int64_t count)
{
    double E[POLYNOMIAL_MOST_STATES * POLYNOMIAL_MOST_STATES], G[POLYNOMIAL_MOST_STATES];
    tensor *both = tensor_constant(s->graph, NULL, 3, SHAPE(count, n, n + 1));
    for (int64_t t = 0; t < count; t++) {
        double next = (double)(before + t + 1);
        bool fixed = measure_of(s) == HIPPO_LMU;
        hippo_hold(measure_of(s), n, fixed ? option_real(s, "dt") : log((next + 1) / next), E, G);
        for (int64_t i = 0; i < n * n; i++)
            both->data[t * n * (n + 1) + i / n * (n + 1) + i % n] = (real)E[i];
        for (int64_t i = 0; i < n; i++)
            both->data[(t * n + i) * (n + 1) + n] = (real)G[i];
    }
    return both;
}

/* The share of a step that is taken before the system is solved for the rest; not for zoh. */
static inline double ahead_of(const struct scope *s)
{
    return option_is(s, "discretization", "bilinear") ? 0.5 : option_is(s, "discretization", "forward");
}

/* E and G for `length` tokens after `before`, by the option discretization. */
static inline tensor *discretise(struct scope *s, tensor *A, tensor *B, int64_t before, int64_t length)
{
    int64_t n = A->shape[0], count = measure_of(s) == HIPPO_LEGS ? length : 1;
    if (option_is(s, "discretization", "zoh"))
        return held(s, n, before, count);
    tensor *step = tensor_full(s->graph, option_real(s, "dt"), 3, SHAPE(1, 1, 1));
    if (measure_of(s) == HIPPO_LEGS)
        step = tensor_reciprocal(
            tensor_reshape(tensor_range(s->graph, before + 1, count, 1), 3, SHAPE(count, 1, 1)));
    double ahead = ahead_of(s);
    tensor *one = identity_matrix(s->graph, n), *change = tensor_multiply(step, A);
    tensor *input = tensor_multiply(step, tensor_reshape(B, 2, SHAPE(n, 1)));
    tensor *right = tensor_concat(2, (tensor *[]){tensor_add(one, tensor_scale(change, ahead)), input}, 2);
    return ahead == 1 ? right : tensor_solve(tensor_subtract(one, tensor_scale(change, 1 - ahead)), right);
}

#endif
