/* matrix_lanes.h: how tokens' vectors over lanes get into a panel (matrix_scan.h) and out of it, for the
 * tokens of a chunk. A panel's are [tokens, panel]; elsewhere a token's is given by a pointer, and lanes
 * first .. first + lanes - 1 of it are meant. */
#ifndef CLADE_TENSOR_LOOPS_MATRIX_LANES_H
#define CLADE_TENSOR_LOOPS_MATRIX_LANES_H

#include "tensor/loops/loops.h"
#include <stdbool.h>

struct matrix_lane_loops {
    /* x = scale source, zero beyond `lanes`. */
    void (*gather)(int64_t tokens, int64_t first, int64_t lanes, real scale, const real *const *source,
                   real *x);
    /* Decay per lane: factors = exp(log_decay), 1 beyond `lanes`; or, if scalar, all exp(log_decay[t][0]). */
    void (*lane_factors)(int64_t tokens, int64_t first, int64_t lanes, bool scalar,
                         const real *const *log_decay, real *factors);

    /* Results leave the panel. target[t] = scale (out[t] + diagonal[t] weight x[t]), or added to it; diagonal
     * and weight may be NULL (0 and 1), a weight only when adding. */
    void (*emit)(int64_t tokens, int64_t first, int64_t lanes, const real *out, real scale,
                 const real *diagonal, const real *const *x, const real *weight, bool add,
                 real *const *target);
    /* target[t] = scale self[t] out[t], or added; if scalar, its sum goes to target[t][0]. */
    void (*clock)(int64_t tokens, int64_t first, int64_t lanes, bool scalar, const real *out, real scale,
                  const real *const *self, bool add, real *const *target);
    /* target += sum_t scale diagonal[t] x[t] self[t] */
    void (*weight_gradient)(int64_t tokens, int64_t first, int64_t lanes, const real *diagonal, real scale,
                            const real *const *x, const real *const *self, real *target);
    /* dbeta[t] += sum du e, dv[t] += beta du (either may be NULL), dr[t] = -beta du; error[t], e, becomes
     * beta e. */
    void (*delta_gradients)(int64_t tokens, int64_t first, int64_t lanes, const real *du, const real *beta,
                            real *const *error, real *const *dr, real *const *dv, real *const *dbeta);
    /* sum += x, and x += sum */
    void (*add_wide)(int64_t n, const real *x, double *sum);
    void (*add_narrow)(int64_t n, const double *sum, real *x);
};

LOOPS_DECLARE(struct matrix_lane_loops, matrix_lane_loops)

#endif
