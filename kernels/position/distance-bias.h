/* distance-bias.h: functions of the distance from key to query that kernels add to scores. Queries are the
 * last of the keys' tokens; what is said of later keys has no effect where they are hidden. */
#ifndef CLADE_KERNELS_DISTANCE_BIAS_H
#define CLADE_KERNELS_DISTANCE_BIAS_H

#include "block/kernel.h"
#include <math.h>

/* From key j to query i, which is the last but rows - 1 - i of the columns: [rows, columns], 0 for later
 * keys. */
static inline tensor *distances(struct graph *graph, int64_t rows, int64_t columns)
{
    tensor *n = tensor_constant(graph, NULL, 2, SHAPE(rows, columns));
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            n->data[i * columns + j] = (real)(columns - rows + i > j ? columns - rows + i - j : 0);
    return n;
}

/* table [H, columns] by distance -> [H, rows, columns] by query and key. */
static inline tensor *spread_distances(tensor *table, int64_t rows)
{
    int64_t heads = table->shape[0], columns = table->shape[1];
    tensor *n = tensor_reshape(distances(table->graph, rows, columns), 2, SHAPE(1, rows * columns));
    return tensor_reshape(tensor_gather(table, 1, n), 3, SHAPE(heads, rows, columns));
}

/* A trained number per head, [H, 1], at first between 0 and `start`, that is put back to the nearest of its
 * range before it is used, as published. */
static inline tensor *bounded_parameter(struct scope *s, const char *name, int64_t heads, double start,
                                        double low, double high)
{
    tensor *p = parameter(s, name, init_uniform(0, start), 3, SHAPE(heads, 1, 1));
    p = tensor_reshape(p, 2, SHAPE(heads, 1));
    return tensor_straight_through(tensor_clamp(tensor_stop_gradient(p), low, high), p);
}

/* KERPLE's logarithmic kernel -p ln(1 + c n) for n = 0 .. length - 1, p and c at least `least`:
 * [H, length]. */
static inline tensor *logarithmic_bias(struct scope *s, int64_t heads, int64_t length, double least)
{
    tensor *p = bounded_parameter(s, "bias_p", heads, 2, least, 1e30);
    tensor *c = bounded_parameter(s, "bias_a", heads, 1, least, 1e30);
    tensor *n = tensor_range(s->graph, 0, length, 1);
    return tensor_negate(tensor_multiply(p, tensor_log1p(tensor_multiply(c, n))));
}

/* ALiBi's -slope_h n for n = 0 .. length - 1: [H, length]. */
static inline tensor *linear_bias(struct graph *graph, int64_t heads, int64_t length)
{
    tensor *table = tensor_constant(graph, NULL, 2, SHAPE(heads, length));
    for (int64_t h = 0; h < heads; h++)
        for (int64_t n = 0; n < length; n++)
            table->data[h * length + n] = (real)(-alibi_slope(h, heads) * (double)n);
    return table;
}

/* q_t . k_s / sqrt(d), [B, H, T, S], where a kernel needs the scores themselves. */
static inline tensor *scaled_scores(tensor *q, tensor *k)
{
    k = repeat_heads(k, q->shape[2] / k->shape[2]);
    tensor *scores = tensor_matmul_nt(tensor_transpose(q, 1, 2), tensor_transpose(k, 1, 2));
    return tensor_scale(scores, 1 / sqrt((double)q->shape[3]));
}

/* FIRE's bias, [H, rows, columns], for queries that stand at s->position and after, and keys of which they
 * are the last. */
static inline tensor *interpolated_bias(struct scope *s, int64_t heads, int64_t rows, int64_t columns,
                                        const char *activation)
{
    const int64_t *one = SHAPE(1);
    tensor *c = parameter(s, "c", init_constant(0.1), 1, one);
    tensor *multiplier = parameter(s, "L_multiplier", init_constant(1), 1, one);
    tensor *t = tensor_reshape(tensor_range(s->graph, s->position, rows, 1), 2, SHAPE(rows, 1));
    tensor *threshold = tensor_absolute(tensor_scale(multiplier, option_real(s, "threshold")));
    tensor *norm = tensor_maximum(t, threshold);
    tensor *n = distances(s->graph, rows, columns);
    tensor *u = tensor_log1p(tensor_absolute(tensor_multiply(n, c)));
    tensor *most = tensor_log1p(tensor_absolute(tensor_multiply(norm, c)));
    u = tensor_divide(u, tensor_affine(most, 1, option_real(s, "epsilon")));
    u = tensor_reshape(u, 3, SHAPE(rows, columns, 1));
    tensor *hidden = tensor_activation(linear(s, "mlp.0", u, option(s, "hidden"), true), activation);
    tensor *b = linear(s, "mlp.2", hidden, heads, true);
    return tensor_contiguous(tensor_permute(b, (const int[]){2, 0, 1}));
}

#endif
