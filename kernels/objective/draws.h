/* draws.h: numbers that a training step draws for each text of a batch and gives as inputs [B]. */
#ifndef CLADE_KERNELS_DRAWS_H
#define CLADE_KERNELS_DRAWS_H

#include "block/kernel.h"

/* The draw for entry `b` of the batch. Places of rows are made of it, so it is read when the graph is
 * recorded. */
static inline double drawn(struct scope *s, const tensor *draw, int64_t b)
{
    if (draw->rank != 1 || !draw->data || b >= draw->shape[0])
        kernel_fail(s, "draws are one number for each text, known when the graph is recorded");
    return (double)draw->data[b];
}

#endif
