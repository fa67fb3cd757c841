/* signed-distance-bias.h: Transformer-XL's relative sinusoids over distances of both signs, as speech
 * encoders without causality have them (ESPnet RelPositionMultiHeadedAttention):
 *
 *     score = ((q + u) . k + (q + v) . W_P e(t - s)) / sqrt(d),
 *         e(n)[2m] = sin(n w_m), e(n)[2m + 1] = cos(n w_m), w_m = 10000^(-2m / D)
 *
 * with u = pos_bias_u and v = pos_bias_v [H, d], and W_P = linear_pos. */
#ifndef CLADE_KERNELS_SIGNED_DISTANCE_BIAS_H
#define CLADE_KERNELS_SIGNED_DISTANCE_BIAS_H

#include "block/kernel.h"
#include <math.h>

/* q + u and q + v for q [.., H, d]. */
static inline void biased_queries(struct scope *s, const char *name, tensor *q, tensor **content,
                                  tensor **place)
{
    const int64_t *shape = SHAPE(q->shape[q->rank - 2], q->shape[q->rank - 1]);
    struct init start = init_normal(0.02);
    *content = tensor_add(q, parameter(s, part_name(s, "%s.pos_bias_u", name), start, 2, shape));
    *place = tensor_add(q, parameter(s, part_name(s, "%s.pos_bias_v", name), start, 2, shape));
}

/* W_P e(n) for n = first, first - 1, ..: [H, count, d] */
static inline tensor *signed_places(struct scope *s, const char *name, int64_t first, int64_t count,
                                    int64_t heads, int64_t d)
{
    tensor *waves = sinusoids(s, count, (struct sinusoids){.first = first, .step = -1, .base = 10000});
    tensor *places = linear(s, part_name(s, "%s.linear_pos", name), waves, heads * d, false);
    return tensor_transpose(tensor_reshape(places, 3, SHAPE(count, heads, d)), 0, 1);
}

/* The scaled scores by distance of queries q + v [B, T, H, d] and S keys, [B, H, T, S], by the places
 * [H, T - 1 + S, d] of distances that fall from that of the last query and the first key. */
static inline tensor *signed_distance_bias(tensor *q, tensor *places)
{
    tensor *scores = relative_shift(tensor_matmul_nt(tensor_transpose(q, 1, 2), places));
    int64_t keys = places->shape[1] - q->shape[1] + 1;
    return tensor_scale(tensor_slice(scores, 3, 0, keys), 1 / sqrt((double)q->shape[3]));
}

#endif
