/* moving-average.h: the multi-dimensional damped moving average of Mega and its descendants (mega, section
 * 3.1), and the queries and keys that they make of it. N averages in each channel, at first at rest:
 *
 *     h_t = q h_{t-1} + p beta x_t,   y_t = sum_n gamma_n / sqrt(N) h_t[n] + omega x_t
 *     p = sigmoid(delta),  q = 1 - p sigmoid(alpha)
 *         parameters NAME.delta, .. [D, N, 1], .gamma [D, N], .omega [D]
 *
 * which is a convolution, or the recurrence when there is a state. */
#ifndef CLADE_KERNELS_MOVING_AVERAGE_H
#define CLADE_KERNELS_MOVING_AVERAGE_H

#include "block/filters.h"
#include "block/modes.h"
#include <math.h>

/* The modes of `rows` channels with N averages each. */
static inline struct modes damped_averages(struct scope *s, const char *name, int64_t rows, int64_t n)
{
    const int64_t *shape = SHAPE(rows, n, 1);
    tensor *p = tensor_sigmoid(parameter(s, part_name(s, "%s.delta", name), init_normal(0.2), 3, shape));
    tensor *alpha = tensor_sigmoid(parameter(s, part_name(s, "%s.alpha", name), init_normal(0.2), 3, shape));
    tensor *beta = parameter(s, part_name(s, "%s.beta", name), init_normal(1), 3, shape);
    tensor *gamma = parameter(s, part_name(s, "%s.gamma", name), init_normal(1), 2, SHAPE(rows, n));
    tensor *decay = tensor_log1p(tensor_negate(tensor_multiply(p, alpha)));
    tensor *weight = tensor_multiply(tensor_reshape(tensor_multiply(p, beta), 2, SHAPE(rows, n)), gamma);
    tensor *zero = tensor_full(s->graph, 0, 2, SHAPE(rows, n));
    return (struct modes){{tensor_reshape(decay, 2, SHAPE(rows, n)), zero},
                          {tensor_scale(weight, 1 / sqrt((double)n)), zero}};
}

/* At most `taps` > 0 of it; with `both_ways` a second set of averages, the later rows of the parameters, runs
 * from the end. */
static inline tensor *moving_average(struct scope *s, const char *name, tensor *x, int64_t n, int64_t taps,
                                     bool both_ways)
{
    int64_t width = x->shape[2];
    struct modes modes = damped_averages(s, name, both_ways ? 2 * width : width, n);
    tensor *omega = parameter(s, part_name(s, "%s.omega", name), init_normal(1), 1, SHAPE(width)), *y;
    if (both_ways) {
        tensor *k = modes_kernel(&modes, taps && taps < x->shape[1] ? taps : x->shape[1]);
        tensor *past = tensor_slice(k, 0, 0, width), *future = tensor_slice(k, 0, width, width);
        int64_t size = k->shape[1];
        past = tensor_add(past, tensor_pad(tensor_slice(future, 1, 0, 1), 1, 0, size - 1, 0));
        y = size > 1 ? two_sided_convolution(x, past, tensor_slice(future, 1, 1, size - 1))
                     : tensor_long_convolution(x, past, false);
    } else {
        y = kept_modes(s, name, &modes, x, taps);
    }
    return tensor_add(y, tensor_multiply(x, omega));
}

/* copies[i] = z (gamma[i] + 1 - start) + beta[i], i = 0 for queries and 1 for keys; parameters gamma, which
 * begins at `start`, and beta [2, width of z]. */
static inline void query_and_key(struct scope *s, tensor *z, double start, tensor **copies)
{
    int64_t width = tensor_length(z, -1);
    tensor *gamma = parameter(s, "gamma", init_constant(start), 2, SHAPE(2, width));
    tensor *beta = parameter(s, "beta", init_constant(0), 2, SHAPE(2, width));
    for (int64_t i = 0; i < 2; i++)
        copies[i] = tensor_add(tensor_multiply(z, tensor_affine(tensor_slice(gamma, 0, i, 1), 1, 1 - start)),
                               tensor_slice(beta, 0, i, 1));
}

#endif
