/* scan_product.h: the queries of a few neighbouring heads times the running sums of their keys. Heads go
 * together so that memory is read in longer stretches. */
#ifndef CLADE_TENSOR_LOOPS_SCAN_PRODUCT_H
#define CLADE_TENSOR_LOOPS_SCAN_PRODUCT_H

#include "tensor/loops/loops.h"

/* Rows of q and k are [count, width], those of keep (NULL: 1) and y [count]; of all heads there are `heads`,
 * with which rows lie apart. Sums are [count, width]. */
struct scan_product_team {
    int64_t steps, width, count, heads;
    const real *q, *k, *keep;
};

struct scan_product_gradients {
    const real *y;      /* given; NULL for zero */
    real *q, *k, *keep; /* of the layouts of q, k, keep; added to; may be NULL */
};

struct scan_product_loops {
    /* z = keep_t z + k_t, y_t = q_t . z, z being the sums before and after. */
    void (*forward)(const struct scan_product_team *team, real *z, real *y);
    /* z: steps + 1 sums, before the first step and after each, of which the first is given; g is the gradient
     * of the last and becomes that of the first. */
    void (*backward)(const struct scan_product_team *team, real *z, real *g,
                     const struct scan_product_gradients *to);
};

LOOPS_DECLARE(struct scan_product_loops, scan_product_loops)

#endif
