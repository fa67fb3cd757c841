/* Learned vectors of the distance, met by queries (Shaw et al. 2018, keys alone; one table for all heads and
 * layers as in facebookresearch/transformer-sequential, key_pe).
 *
 *     score(t, s) = q_t . (k_s + p(t - s)) / sqrt(d)
 *         p(n) = key_pe[0, :, length - 1 + first - n], [1, d, length]
 *
 * for first <= n < first + length, zero else. */
#include "block/kernel.h"
#include <math.h>

static struct score_bias bias(struct scope *s, tensor *q, tensor *k, int64_t offset)
{
    (void)offset;
    int64_t length = option(s, "length"), first = option(s, "first"), d = q->shape[3], count = k->shape[1];
    tensor *table = shared_parameter(s, "key_pe", init_normal(0.02), 3, SHAPE(1, d, length));
    tensor *nearest =
        tensor_flip(tensor_reshape(table, 2, SHAPE(d, length)), 1); /* by distance from `first` on */
    if (count < length)
        nearest = tensor_slice(nearest, 1, 0, count);
    tensor *scores = tensor_matmul(tensor_transpose(q, 1, 2), nearest);
    scores = tensor_pad(tensor_scale(scores, 1 / sqrt((double)d)), 3, first, 1, 0);
    return (struct score_bias){.distance = scores};
}

KERNEL(relative_key_vectors) = {
    .name = "relative-key-vectors",
    .slot = SLOT_POSITION,
    .variant = "expire-span",
    .summary = "queries meet a trained vector of the distance, the same for all heads",
    .options = OPTIONS(INTEGER_OPTION("length", 1024, 1, 1 << 24, "distances that have a vector"),
                       INTEGER_OPTION("first", 0, 0, 1, "distance of the nearest that has one")),
    .characters = CHARACTERS({"position", "relative"}),
    .bias = bias,
};
