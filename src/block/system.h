/* system.h: time-invariant linear systems with full matrices, for the state spaces that are not diagonal.
 * Kernels may include it beside kernel.h. */
#ifndef CLADE_BLOCK_SYSTEM_H
#define CLADE_BLOCK_SYSTEM_H

#include "block/kernel.h"

/* H systems of N states, one input and M outputs each: h_t = A h_{t-1} + b x_t, y_t = c h_t. */
struct system {
    tensor *A; /* [H, N, N] */
    tensor *b; /* [H, N, 1] */
    tensor *c; /* [H, M, N] */
};

tensor *identity_matrix(struct graph *graph, int64_t n);
tensor *matrix_power(tensor *A, int64_t exponent); /* of [.., N, N], exponent at least 1 */
/* b, A b, .., A^(length - 1) b for A [.., N, N] and b [.., N, 1]: [.., N, length], by doubling: the powers
 * A^(2^k) and products of what is there already. */
tensor *krylov(tensor *A, tensor *b, int64_t length);
/* K[l] = c A^l b: [H, M, length]. With l = R p + r these are products of c A^(R p) and A^r b, R about
 * sqrt(length). */
tensor *system_kernel(const struct system *system, int64_t length);
/* The bilinear rule with steps dt [H, 1, 1] on a continuous A [N, N] or [H, N, N] and b alike; c stays. */
struct system system_bilinear(tensor *A, tensor *b, tensor *c, tensor *dt);
/* The recurrence for x [B, T, H] to y [B, T, H M], M outputs after one another; keeps h under "h". */
tensor *system_step(struct scope *s, const struct system *system, tensor *x);
/* In the recurrent form a system is made at the first token and kept: false if there is none to recall
 * yet. */
bool system_recall(struct scope *s, int64_t systems, int64_t states, int64_t outputs, struct system *system);
void system_keep(struct scope *s, const struct system *system);

/* tensor_recurrence with its state kept under `name`. */
tensor *kept_recurrence(struct scope *s, const char *name, tensor *w, tensor *b, int64_t squashed);

#endif
