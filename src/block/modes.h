/* modes.h: complex numbers as pairs of tensors, and time-invariant systems of complex modes, for the kernels
 * of diagonal state spaces. Kernels may include it beside kernel.h. */
#ifndef CLADE_BLOCK_MODES_H
#define CLADE_BLOCK_MODES_H

#include "block/kernel.h"

struct pair {
    tensor *real, *imaginary; /* shapes broadcast against those of other pairs */
};

struct pair pair_of(tensor *x);     /* x [.., 2] -> two tensors [..] */
tensor *pair_joined(struct pair a); /* the inverse, both parts of one shape */
struct pair pair_product(struct pair a, struct pair b);
struct pair pair_scaled(struct pair a, tensor *factor); /* by a real tensor */
struct pair pair_conjugate(struct pair a);
tensor *pair_square(struct pair a); /* |a|^2 */
struct pair pair_quotient(struct pair a, struct pair b);
struct pair pair_sum(struct pair a, struct pair b);
struct pair pair_exp(struct pair a);
struct pair pair_expm1(struct pair a); /* exp(a) - 1 without cancellation near 0 */
struct pair pair_repeated(struct pair a, int axis, int64_t times);

/* W x for a real x [B, T, I] and W [O, I]: [B, T, O, 2]; and Re W h for h [B, T, I, 2]: [B, T, O]. */
tensor *pair_linear(struct pair weight, tensor *x);
tensor *pair_linear_real(struct pair weight, tensor *h);

/* How a continuous mode A with step dt becomes a discrete one, z = dt A, here for Re z <= 0:
 *     zero-order hold   the factor exp(z), the input (exp(z) - 1) / A
 *     bilinear          the factor (1 + z / 2) / (1 - z / 2), whose logarithm bilinear_rate() is, and the input
 *                       dt / (1 - z / 2) */
struct pair zero_order_input(struct pair a, struct pair rate);
struct pair bilinear_rate(struct pair rate);
struct pair bilinear_factor(struct pair rate);
struct pair bilinear_input(tensor *step, struct pair rate);

/* N modes in each of C channels (or of all, a first axis of 1):
 *     h_t = exp(rate) h_{t-1} + x_t,  y_t = Re sum_n weight_n h_t
 *     y = K * x,  K[l] = Re sum_n weight_n exp(rate_n l)
 * The real part of a rate is at most 0. */
struct modes {
    struct pair rate;   /* [C or 1, N] */
    struct pair weight; /* [C, N] */
};
/* K [C, length]. The Vandermonde product over l = a R + b is a small matrix product a channel: powers of R
 * steps times powers of one. */
tensor *modes_kernel(const struct modes *modes, int64_t length);
/* y for x [B, T, C m], m channels after one another to each row of weights: a convolution with K, of which
 * `taps` > 0 keeps the first. With a state the recurrence, which keeps h under `name`, or with `taps` a
 * convolution of the newest inputs, kept there. */
tensor *kept_modes(struct scope *s, const char *name, const struct modes *modes, tensor *x, int64_t taps);

/* For init_function(): log dt from log 0.001 to log 0.1 over the first axis; pi n over the last. */
void fill_log_steps(const struct scope *s, int rank, const int64_t *shape, real *values);
void fill_linear_frequencies(const struct scope *s, int rank, const int64_t *shape, real *values);

#endif
