/* legendre_scan.h: one token of the scaled Legendre memory for neighbouring channels. */
#ifndef CLADE_TENSOR_LOOPS_LEGENDRE_SCAN_H
#define CLADE_TENSOR_LOOPS_LEGENDRE_SCAN_H

#include "tensor/loops/loops.h"

enum { LEGENDRE_LANES = 64 }; /* most channels of one call */

/* A token's numbers for one state. */
struct legendre_state {
    real keep, take, before, after;
};

struct legendre_scan_loops {
    /* For n = 0 .. states - 1, with u = -x at first:
     *     now[n] = keep[n] last[n] - take[n] u,  u += before[n] last[n] + after[n] now[n]
     * Rows of `last` and `now` are `pitch` apart. */
    void (*forward)(int64_t count, int64_t states, const struct legendre_state *s, const real *x,
                    const real *last, int64_t pitch, real *now);
    /* g [states, LEGENDRE_LANES] enters as dL/dnow and leaves as dL/dlast; dL/dx is added to dx unless that
     * is NULL. */
    void (*backward)(int64_t count, int64_t states, const struct legendre_state *s, real *g, real *dx);
};

LOOPS_DECLARE(struct legendre_scan_loops, legendre_scan_loops)

#endif
