/* legendre-memory.h: the fixed memory of the Legendre memory units (lmu; parallel-lmu), a sliding window of
 * theta tokens in N Legendre coefficients, m_t = A m_{t-1} + B u_t by zero-order hold of a step 1 / theta. */
#ifndef CLADE_KERNELS_LEGENDRE_MEMORY_H
#define CLADE_KERNELS_LEGENDRE_MEMORY_H

#include "block/hippo.h"

enum { LEGENDRE_MOST_STATES = 256 };

/* For init_function(): A [N, N] and B [N, 1], with the option theta. */
static inline void fill_legendre(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    double E[LEGENDRE_MOST_STATES * LEGENDRE_MOST_STATES], G[LEGENDRE_MOST_STATES];
    (void)rank;
    hippo_hold(HIPPO_LMU, shape[0], 1 / option_real(s, "theta"), E, G);
    for (int64_t i = 0; i < shape[0] * shape[1]; i++)
        values[i] = (real)(shape[1] == 1 ? G : E)[i];
}

#endif
