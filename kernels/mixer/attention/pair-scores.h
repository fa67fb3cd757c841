/* pair-scores.h: for methods that need the scores themselves, [B, H, T, S]. The T queries are the last of the
 * S keys' tokens. */
#ifndef CLADE_KERNELS_PAIR_SCORES_H
#define CLADE_KERNELS_PAIR_SCORES_H

#include "block/kernel.h"
#include <math.h>

/* x [B, T, H d] -> [B, H, T, d] */
static inline tensor *heads_first(tensor *x, int64_t heads)
{
    return tensor_transpose(split_heads(x, heads), 1, 2);
}

/* weights [B, H, T, S] and values [B, H, S, e] -> what the heads read, [B, T, H e]. */
static inline tensor *weighted_values(tensor *weights, tensor *v)
{
    return merge_heads(tensor_transpose(tensor_matmul(weights, v), 1, 2));
}

/* 1 where a query sees a key, else 0: [T, S]. */
static inline tensor *seen_pairs(const tensor *scores)
{
    int64_t rows = tensor_length(scores, -2), columns = tensor_length(scores, -1);
    return lower_triangle(scores->graph, rows, columns, columns - rows);
}

/* A softmax over the keys, with `causal` without later ones. */
static inline tensor *score_softmax(tensor *scores, bool causal)
{
    if (causal)
        scores = tensor_where(seen_pairs(scores), scores, tensor_scalar(scores->graph, -INFINITY));
    return tensor_softmax(scores, -1);
}

/* factor |x|^2 of each row of x [.., d]: [.., 1]. */
static inline tensor *squared_length(tensor *x, double factor)
{
    return tensor_scale(tensor_sum(tensor_square(x), 3), factor);
}

/* |q_t - k_s|^2 for q [B, H, T, d] and k [B, H, S, d]; at least 0 also after rounding, with no gradient
 * there. */
static inline tensor *squared_distances(tensor *q, tensor *k)
{
    tensor *lengths = tensor_add(squared_length(q, 1), tensor_transpose(squared_length(k, 1), 2, 3));
    return tensor_clamp(tensor_subtract(lengths, tensor_scale(tensor_matmul_nt(q, k), 2)), 0, INFINITY);
}

#endif
