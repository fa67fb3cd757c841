/* retention.h: retention with its rotation and its row scales (retnet, eq. 5 to 8), for the kernels that
 * retain. */
#ifndef CLADE_KERNELS_RETENTION_H
#define CLADE_KERNELS_RETENTION_H

#include "block/kernel.h"
#include <math.h>

/* For init_function(): 10000^(-i / (pairs - 1)), each for both channels of a pair. */
static inline void fill_retention_angles(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)s, (void)rank;
    int64_t pairs = shape[0] / 2;
    for (int64_t i = 0; i < shape[0]; i++)
        values[i] = (real)pow(10000, pairs > 1 ? -(double)(i / 2) / (double)(pairs - 1) : 0);
}

/* For init_function(): log gamma of each head. */
static inline void fill_retention_decays(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)s, (void)rank;
    for (int64_t h = 0; h < shape[0]; h++)
        values[h] = (real)log(1 - pow(2, -5.0 - (double)h));
}

/* sqrt(sum_{m<=n} gamma^(n-m)) for the positions of x: [1, T, H, 1]. */
static inline tensor *retention_row_scale(struct scope *s, tensor *decay, int64_t length)
{
    tensor *n = tensor_reshape(tensor_range(s->graph, s->position + 1, length, 1), 4, SHAPE(1, length, 1, 1));
    tensor *log_g = tensor_reshape(decay, 4, SHAPE(1, 1, decay->shape[0], 1));
    tensor *above = tensor_negate(tensor_expm1(tensor_multiply(n, log_g)));
    return tensor_sqrt(tensor_divide(above, tensor_negate(tensor_expm1(log_g))));
}

/* What the parallel form divides o by: clamp(sum_m |scores|, 1, 50000), [B, T, H, 1]. */
static inline tensor *retention_row_sum(struct scope *s, tensor *q, tensor *k, tensor *decay, tensor *scale)
{
    int64_t length = q->shape[1];
    tensor *scores = tensor_matmul_nt(tensor_transpose(q, 1, 2), tensor_transpose(k, 1, 2));
    tensor *distance =
        tensor_subtract(tensor_reshape(tensor_range(s->graph, 0, length, 1), 2, SHAPE(length, 1)),
                        tensor_range(s->graph, 0, length, 1));
    tensor *weights = tensor_exp(tensor_multiply(tensor_reshape(decay, 3, SHAPE(decay->shape[0], 1, 1)),
                                                 tensor_maximum(distance, tensor_scalar(s->graph, 0))));
    tensor *visible = tensor_greater(tensor_affine(distance, 1, 0.5), tensor_scalar(s->graph, 0));
    tensor *sum = tensor_sum(tensor_absolute(tensor_multiply(scores, tensor_multiply(weights, visible))), 3);
    return tensor_clamp(tensor_divide(tensor_transpose(sum, 1, 2), scale), 1, 5e4);
}

/* o [B, T, H, e] for q, k [B, T, H, d] before their rotation and v [B, T, H, e], with the tables angle [d]
 * and decay [H] that the functions above fill; `divided` as the published parallel form does, which takes
 * T^2. */
static inline tensor *retain(struct scope *s, tensor *q, tensor *k, tensor *v, tensor *angle, tensor *decay,
                             bool divided)
{
    int64_t length = q->shape[1], d = q->shape[3];
    tensor *theta = tensor_slice_step(angle, 0, 0, d / 2, 2);
    tensor *n = tensor_reshape(tensor_range(s->graph, s->position, length, 1), 2, SHAPE(length, 1));
    tensor *angles = tensor_multiply(n, tensor_reshape(theta, 2, SHAPE(1, d / 2)));
    q = tensor_rotary(q, angles, true);
    k = tensor_rotary(k, angles, true);
    tensor *scale = retention_row_scale(s, decay, length);
    tensor *o = kept_matrix_scan(s, "S", q, k, v, (struct matrix_scan_options){.log_decay = decay});
    o = tensor_divide(o, scale);
    if (divided && !s->state)
        o = tensor_divide(o, tensor_stop_gradient(retention_row_sum(s, q, k, decay, scale)));
    return o;
}

#endif
