/* matrix_scan.h: what recurrences with a matrix state do to a block of SCAN_BLOCK tokens.
 *
 * A state is cut into panels of `panel` lanes, each contiguous as [rows, panel]. A block first reads the
 * state that the block before it left, then settles what its own tokens do to one another through the
 * products of their vectors, then writes all its tokens at once. So the state passes through the registers
 * twice a block, and the two loops over it run at the speed of multiply-adds.
 *
 * A decay reaches the tokens through products of factors exp(log_decay) <= 1 alone: from the start of the
 * block to a token that reads, from a token that writes to a later one that reads, and from a token that
 * writes to the end of the block. Whatever the decays are, nothing overflows. Token t reads either after its
 * own factor took hold, or, with read_first, before.
 *
 * Per-token vectors over rows come as SCAN_BLOCK pointers; vectors over lanes as [SCAN_BLOCK, panel]. */
#ifndef CLADE_TENSOR_LOOPS_MATRIX_SCAN_H
#define CLADE_TENSOR_LOOPS_MATRIX_SCAN_H

#include "tensor/loops/loops.h"
#include <stdbool.h>

enum { SCAN_BLOCK = 4, SCAN_PANEL_MAX = 128 / sizeof(real) };

/* pairs[reader][writer]; what lies above the diagonal is not used. */
struct scan_pairs {
    real of[SCAN_BLOCK][SCAN_BLOCK];
};

struct matrix_scan_loops {
    int64_t panel;

    /* out[t] = sum_i read[t][i] state[i] */
    void (*read)(int64_t rows, const real *state, const real *const *read, real *out);
    /* state[i] = fold state[i] + sum_t write[t][i] x[t], the fold given per row, per lane, or by neither
     * for 1. */
    void (*write)(int64_t rows, real *state, const real *row_fold, const real *lane_fold,
                  const real *const *write, const real *x);

    /* out = sum_i a[i] b[i] of two states */
    void (*meet)(int64_t rows, const real *a, const real *b, real *out);

    /* Decay per row: factors [SCAN_BLOCK, stride] = exp(log_decay), and their product over the tokens. */
    void (*row_factors)(int64_t rows, int64_t stride, const real *const *log_decay, real *factors,
                        real *fold);
    /* write[t] times the factors of the later tokens -> scaled [SCAN_BLOCK, stride]. */
    void (*scale_writes)(int64_t rows, int64_t stride, const real *factors, const real *const *write,
                         real *scaled);
    /* pairs[t][s] = sum_i read[t][i] write[s][i] times the factors (if not NULL) between s and t; on the
     * diagonal times weight[i] (if not NULL). With factors, read[t] times those that precede it -> scaled
     * [SCAN_BLOCK, stride]. */
    void (*pairs)(int64_t rows, int64_t stride, const real *factors, bool read_first, const real *weight,
                  const real *const *read, const real *const *write, real *scaled, struct scan_pairs *pairs);

    /* The three below complete out[t], which holds what the tokens read from the state, and turn x into what
     * is to be written to it. factors (per lane) may be NULL; else fold [panel] receives their product.
     *
     * Linear: to `reads` of out, what the earlier tokens of the block wrote is added; pairs is
     * [reads][writes]. */
    void (*linear)(int reads, int writes, const real *factors, bool read_first,
                   const struct scan_pairs *pairs, real *const *out, real *const *x, real *fold);
    /* Delta rule: out[0] held S^T k, and becomes the error e = v - (S')^T k; x held v, and becomes beta e;
     * out[1], if `reads` is 2, becomes S^T q. pairs: k k, q k. */
    void (*delta)(int reads, const real *factors, const real *beta, const struct scan_pairs *pairs,
                  real *const *out, real *x, real *fold);
    /* Its adjoint, later tokens first: out[0] held G^T k, and becomes du; x[0] holds dy; x[1] becomes -beta
     * du. pairs: k q, k k. */
    void (*delta_backward)(const real *factors, const real *beta, const struct scan_pairs *pairs, real *out,
                           real *const *x, real *fold);
};

LOOPS_DECLARE(struct matrix_scan_loops, matrix_scan_loops)

#endif
