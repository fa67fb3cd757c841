/* fourier_plan.h: discrete Fourier transforms of one contiguous row of complex numbers, (real, imaginary)
 * pairs; the primitives that transform tensors are built on it.
 *
 *     target[k] = sum_j source[j] exp(-+ 2 pi i j k / length),   + for the inverse, which is not divided by
 * length */
#ifndef CLADE_TENSOR_FOURIER_PLAN_H
#define CLADE_TENSOR_FOURIER_PLAN_H

#include "tensor/real.h"
#include <stdbool.h>
#include <stdint.h>

#define FOURIER_MAX_LENGTH ((int64_t)1 << 28)

/* What a transform of this length needs besides the data. Read only: threads share it. Making one costs about
 * as much as two transforms. Length: 1 to FOURIER_MAX_LENGTH. */
struct fourier_plan;
struct fourier_plan *fourier_plan_create(int64_t length, bool inverse);
void fourier_plan_free(struct fourier_plan *plan); /* NULL is fine */

int64_t fourier_plan_scratch(const struct fourier_plan *plan); /* reals that a run needs */
/* source, target and scratch must not overlap. */
void fourier_plan_run(const struct fourier_plan *plan, const real *source, real *target, real *scratch);

/* The least length of this or more that transforms fast. */
int64_t fourier_fast_length(int64_t length);

/* roots[k] = exp(2 pi i k / period) for 0 <= k < count. */
void fourier_roots(int64_t count, int64_t period, real *roots);

#endif
