/* matrix_sweep.h: one pass over a sequence with a matrix state, of which tensor_matrix_scan()'s forward and
 * backward are made.
 *
 * A sweep steps through the tokens in order or in reverse, with a state M [rows, lanes] per batch entry and
 * head:
 *     M = diag(decay_t) M + sum_w write_w[t] value_w[t]^T,    result_r[t] = M^T read_r[t]
 * The state of the recurrence and its gradient are both of this form, seen with d as rows and e as lanes or
 * the other way round, so every gradient comes from a sweep and the states of the tokens are never stored. */
#ifndef CLADE_TENSOR_MATRIX_SWEEP_H
#define CLADE_TENSOR_MATRIX_SWEEP_H

#include "tensor/operation.h"

/* A vector (or number) for each token: data + batch b + token t + head (h / group). NULL data: zeros. */
struct series {
    real *data;
    int64_t batch, token, head, group;
};

/* A matrix for each head: data + batch b + head h + row i + lane j. NULL data: none. */
struct matrices {
    real *data;
    int64_t batch, head, row, lane;
};

enum sweep_rule {
    SWEEP_LINEAR,
    /* read[0] = write[0] = k, value[0] = v: the results are e = v - M^T k and, of read[1] = q, M^T q. */
    SWEEP_DELTA,
    /* Its adjoint: read[0] = k, write = q, k, value[0] = dy; it finds du, see `error`. */
    SWEEP_DELTA_BACKWARD
};

enum sweep_decay { DECAY_NONE, DECAY_SCALAR, DECAY_ROWS, DECAY_LANES };

struct sweep {
    enum sweep_rule rule;
    int64_t batches, heads, length, rows, lanes;
    bool reverse;
    int reads, writes;
    struct series read[2], write[2], value[2];
    real read_scale[2], value_scale[2]; /* 0 means 1 */
    enum sweep_decay decay;
    bool read_first; /* a token reads before its own decay takes hold */
    struct series log_decay;
    struct series beta; /* of the linear rule: multiplies value_0; only where a chunk passes at once */

    /* Of the linear rule: what token t writes with write_0 shows in result_0[t] too, times bonus [heads, rows
     * or lanes] (the side that holds d) if there is one. */
    const real *bonus;
    bool bonus_on_rows;

    struct series result[2]; /* NULL data: not wanted */
    struct matrices first;   /* M before the sweep */
    struct matrices last;    /* where M goes after it; in reverse, with the first token's decay */
    bool add;                /* results and the last M are added to what is there */

    /* Towards the gradient of the decays: clock[t] = sum_r clock_scale own_r[t] result_r[t], or added with
     * clock_add, where results leave out what token t itself wrote; per lane, or summed over the lanes with
     * clock_scalar. `mark` is set in a sweep in order and in the one in reverse that follows it: the first
     * keeps its states before some of the tokens (sweep_marked), and where the second comes by, with M' the
     * kept one, decay M M' summed over the rows is added to marks[n]. What the n-th part of the lanes adds to
     * clock lies n clock_part elements on, and likewise for marks. */
    struct series own[2], clock, marks;
    real clock_scale;
    bool clock_add, clock_scalar, mark;
    int64_t clock_part, marks_part;
    real *bonus_gradient; /* [batches, heads, lanes], added to */

    /* Of the delta rule's adjoint: `error` holds e and receives u = beta e; dr = -beta du; dv and dbeta are
     * added to. */
    struct series error, dr, dv, dbeta;
};

/* Runs one sweep after the other for every batch entry and head. Heads h and h' with the same h / group add
 * to the same results and follow one another; if group > 1, parts of the lanes run in parallel, sweep_parts()
 * of them. */
void sweep_run(int count, const struct sweep *sweeps, int64_t group, struct graph *graph);
int64_t sweep_parts(int64_t lanes, int64_t group);

/* Marked tokens are the last one and every 32nd before it; they are numbered from the last. */
enum { SWEEP_MARKS_APART = 32 };
static inline bool sweep_marked(int64_t length, int64_t token, int64_t *number)
{
    int64_t back = length - 1 - token;
    *number = back / SWEEP_MARKS_APART;
    return token >= 0 && back >= 0 && back % SWEEP_MARKS_APART == 0;
}

#endif
