/* matrix_joint.h: what recurrences with a matrix state do to a whole chunk of JOINT tokens, where tokens
 * decay by a factor of their own alone or not at all.
 *
 * With a single factor a token, those of a pair of tokens can be multiplied onto the pair's product, for
 * heads of a group even where they share the products. Then the state passes through the registers for the
 * chunk and not for each block of it (matrix_scan.h): once to be read by each tile of tokens, once to be
 * written. Panels and vectors over rows are those of matrix_scan.h; vectors over lanes come as JOINT pointers
 * to `panel` lanes each, so that they need not be copied to lie side by side. */
#ifndef CLADE_TENSOR_LOOPS_MATRIX_JOINT_H
#define CLADE_TENSOR_LOOPS_MATRIX_JOINT_H

#include "tensor/loops/loops.h"

enum { JOINT = 16 };

/* Of reader t and writer s at [t][s]; what lies above the diagonal is not used. */
struct joint_pairs {
    _Alignas(64) real of[JOINT][JOINT];
};

/* The factors on the way from the chunk's start to each token, from each token to the chunk's end (times its
 * strength), and over all of it. */
struct joint_factors {
    _Alignas(64) real until[JOINT], after[JOINT];
    real fold;
};

struct matrix_joint_loops {
    /* products[t][s] = sum_i read[t][i] write[s][i] */
    void (*products)(int64_t rows, const real *const *read, const real *const *write,
                     struct joint_pairs *products);
    /* pairs = products times strength[s] (if not NULL) and the factors exp(log_decay[n][0]) of the tokens
     * after s up to t. */
    void (*decay)(const real *const *log_decay, const real *strength, const struct joint_pairs *products,
                  struct joint_pairs *pairs, struct joint_factors *factors);
    /* out[t] = until[t] sum_i read[t][i] state[i] + sum_s pairs[t][s] x[s], s up to t, for the tokens rounded
     * up to a tile. until may be NULL for 1. */
    void (*read)(int64_t rows, int64_t tokens, const real *state, const real *const *read, const real *until,
                 const struct joint_pairs *pairs, const real *const *x, real *const *out);
    /* state[i] = fold state[i] + sum_s write[s][i] after[s] x[s]. factors may be NULL for 1. */
    void (*write)(int64_t rows, int64_t tokens, real *state, const struct joint_factors *factors,
                  const real *const *write, const real *const *x);
};

LOOPS_DECLARE(struct matrix_joint_loops, matrix_joint_loops)

#endif
