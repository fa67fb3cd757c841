/* Pooling as token mixing, in causal form (metaformer, section 3.2, eq. 4; lucidrains/metaformer-gpt
 * MeanCenteringPool): y_t = (mean of x_1 .. x_t - x_t) W. The mean moves by (x_t - mean) / t, which keeps its
 * scale for any length. */
#include "block/kernel.h"

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t length = x->shape[1];
    tensor *share = tensor_reciprocal(tensor_range(s->graph, s->position + 1, length, 1));
    share = tensor_reshape(share, 3, SHAPE(1, length, 1));
    tensor *mean = kept_scan(s, "mean", tensor_affine(share, -1, 1), tensor_multiply(share, x));
    tensor *y = tensor_subtract(mean, x);
    return option(s, "projection") ? linear(s, "proj", y, s->width, false) : y;
}

KERNEL(average_pooling) = {
    .name = "average-pooling",
    .slot = SLOT_MIXER,
    .variant = "metaformer",
    .summary = "the average of all tokens so far, less the token",
    .options = OPTIONS(FLAG_OPTION("projection", 1, "followed by a linear map")),
    .characters = CHARACTERS({"mixing", "pooling"}, {"normalizer", "sum"}, {"heads", "per-channel"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "additive"},
                             {"decay", "none"}, {"output-gate", "no"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .forward = forward,
    .step = forward,
};
