/* hippo.h: the HiPPO matrices, continuous systems c' = A c + B f whose state holds coefficients of the past
 * in a basis of orthogonal functions (hippo; httyh), for the kernels that start from them or run them.
 * Kernels may include it. */
#ifndef CLADE_BLOCK_HIPPO_H
#define CLADE_BLOCK_HIPPO_H

#include "block/kernel.h"

enum hippo_measure {
    HIPPO_LEGS, /* scaled Legendre: all of the past */
    HIPPO_LEGT, /* translated Legendre, symmetric scaling sqrt((2 i + 1) (2 j + 1)), all of A and B halved */
    HIPPO_LMU,  /* translated Legendre as in the Legendre memory unit, rows scaled by 2 i + 1 */
    HIPPO_FOUT  /* truncated Fourier */
};

/* A [N, N] row-major and B [N]. */
void hippo_matrices(enum hippo_measure measure, int64_t n, double *A, double *B);

/* A = V (diag(w) - P P^*) V^* with V unitary, for n even and not HIPPO_LMU: the n / 2 eigenvalues w with
 * negative imaginary parts, the fastest last, and V^* applied to P (rank rows: 2 for HIPPO_LEGT, else 1) and
 * to B; all as (real, imaginary). */
void hippo_modes(enum hippo_measure measure, int64_t n, double *w, double *P, double *B);

/* The zero-order hold of a step: E = exp(delta A) and G = A^-1 (E - 1) B, [N, N] and [N]. */
void hippo_hold(enum hippo_measure measure, int64_t n, double delta, double *E, double *G);

#endif
