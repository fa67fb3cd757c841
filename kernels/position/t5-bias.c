/* T5's relative position bias (t5-bias; the layout of transformers' T5Attention): to the score of query t and
 * key s is added
 *
 *     b_h[bucket(t - s)],    b = relative_attention_bias.weight [buckets, H], one table for all layers
 *
 * Half of the buckets hold one distance each, the others ranges that grow geometrically up to max_distance,
 * the last all beyond. With `causal` off the second half of the buckets is for later keys. T5 does not divide
 * scores by sqrt(d): attention's option scale 1. */
#include "block/kernel.h"

static struct score_bias bias(struct scope *s, tensor *q, tensor *k, int64_t offset)
{
    (void)offset;
    int64_t max_distance = option(s, "max_distance"), rows = q->shape[1], columns = k->shape[1];
    tensor *table = shared_parameter(s, "relative_attention_bias.weight", init_normal(0.02), 2,
                                     SHAPE(option(s, "buckets"), q->shape[2]));
    if (option(s, "causal"))
        return (struct score_bias){.distance = bucketed_distance_bias(table, max_distance, columns)};
    return (struct score_bias){.full = bucketed_bias(table, max_distance, false, rows, columns)};
}

static const char *validate(const struct scope *s)
{
    int64_t exact = option(s, "buckets") / (option(s, "causal") ? 2 : 4);
    if (exact < 1)
        return "without causal there are at least four buckets";
    return option(s, "max_distance") <= exact ? "max_distance is within the distances that have a bucket each"
                                              : NULL;
}

KERNEL(t5_bias) = {
    .name = "t5-bias",
    .slot = SLOT_POSITION,
    .variant = "t5-bias",
    .summary = "a trained scalar per head and bucket of distances is added to the scores",
    .options = OPTIONS(INTEGER_OPTION("buckets", 32, 2, 1 << 20, "rows of the table"),
                       INTEGER_OPTION("max_distance", 128, 1, 1 << 30,
                                      "from which distances share the last bucket"),
                       FLAG_OPTION("causal", 1, "there are no later keys")),
    .characters = CHARACTERS({"position", "relative"}),
    .validate = validate,
    .bias = bias,
};
