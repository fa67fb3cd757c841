/* rotary.h: inner loops of the rotary application to one head of one position. */
#ifndef CLADE_TENSOR_LOOPS_ROTARY_H
#define CLADE_TENSOR_LOOPS_ROTARY_H

#include "tensor/loops/loops.h"
#include <stdbool.h>

/* A pair i is (x[2i], x[2i + 1]) if interleaved, else (x[i], x[pairs + i]). */
struct rotary_loops {
    void (*table)(int64_t pairs, const real *angles, real *cosine, real *sine);
    void (*turn)(int64_t pairs, bool interleaved, const real *cosine, const real *sine, const real *x,
                 real *y);
    /* dx += the vector dy turned back; dangles += the derivative by the angles. */
    void (*turn_back)(int64_t pairs, bool interleaved, const real *cosine, const real *sine, const real *dy,
                      real *dx);
    void (*angle_gradient)(int64_t pairs, bool interleaved, const real *cosine, const real *sine,
                           const real *x, const real *dy, real *dangles);
};

LOOPS_DECLARE(struct rotary_loops, rotary_loops)

#endif
