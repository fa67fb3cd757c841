/* T5's relative position bias (t5-bias; the layout of transformers' T5Attention): to the score of query t and
 * key s is added
 *
 *     b_h[bucket(t - s)],    b = relative_attention_bias.weight [buckets, H], one table for all layers
 *
 * Half of the buckets hold one distance each, the others ranges that grow geometrically up to max_distance,
 * the last all beyond. With `causal` off the second half of the buckets is for later keys. T5 does not divide
 * scores by sqrt(d): attention's option scale 1.
 *
 * As lucidrains/x-transformers (v1.9.2) has it the bias is multiplied by sqrt(d) (`scaled`), and q and k may
 * turn as well (`rotary`), or do so alone (no buckets): pairs (i, i + n / 2) of the first n = max(d / 2, 32)
 * channels of a head by t 10000^(-2i / n), where an odd n has one pair more. */
#include "block/kernel.h"
#include <math.h>

static struct score_bias bias(struct scope *s, tensor *q, tensor *k, int64_t offset)
{
    (void)offset;
    if (!option(s, "buckets"))
        return (struct score_bias){NULL, NULL};
    int64_t max_distance = option(s, "max_distance"), rows = q->shape[1], columns = k->shape[1];
    tensor *table = shared_parameter(s, "relative_attention_bias.weight", init_normal(0.02), 2,
                                     SHAPE(option(s, "buckets"), q->shape[2]));
    if (option(s, "scaled"))
        table = tensor_scale(table, sqrt((double)q->shape[3]));
    if (option(s, "causal"))
        return (struct score_bias){.distance = bucketed_distance_bias(table, max_distance, columns)};
    return (struct score_bias){.full = bucketed_bias(table, max_distance, false, rows, columns)};
}

/* The channels of a head of d that set the frequencies. */
static int64_t turning(const struct scope *s, int64_t d)
{
    int64_t channels = d / 2 > 32 ? d / 2 : 32;
    if (channels > d)
        kernel_fail(s, "32 channels of a head turn at least, of %lld", (long long)d);
    return channels;
}

static double frequency(const void *channels, int64_t pair)
{
    return pow(10000, -2 * (double)pair / (double)*(const int64_t *)channels);
}

static tensor *rotate(struct scope *s, tensor *x, bool is_key, int64_t start)
{
    (void)is_key;
    if (!option(s, "rotary"))
        return x;
    int64_t channels = turning(s, x->shape[3]), pairs = (channels + 1) / 2;
    return tensor_rotary(x, rotary_angles_of(s, start, x->shape[1], pairs, frequency, &channels), false);
}

static tensor *rotate_to(struct scope *s, tensor *x, const real *places)
{
    if (!option(s, "rotary"))
        return x;
    int64_t channels = turning(s, x->shape[3]), pairs = (channels + 1) / 2;
    return tensor_rotary(x, rotary_angles_at(s, places, x->shape[1], pairs, frequency, &channels), false);
}

static const char *validate(const struct scope *s)
{
    if (!option(s, "buckets"))
        return NULL;
    int64_t exact = option(s, "buckets") / (option(s, "causal") ? 2 : 4);
    if (exact < 1)
        return "there are at least two buckets, without causal four";
    return option(s, "max_distance") <= exact ? "max_distance is within the distances that have a bucket each"
                                              : NULL;
}

KERNEL(t5_bias) = {
    .name = "t5-bias",
    .slot = SLOT_POSITION,
    .variant = "t5-bias",
    .summary = "a trained scalar per head and bucket of distances is added to the scores",
    .options = OPTIONS(INTEGER_OPTION("buckets", 32, 0, 1 << 20, "rows of the table; 0: no bias"),
                       INTEGER_OPTION("max_distance", 128, 1, 1 << 30,
                                      "from which distances share the last bucket"),
                       FLAG_OPTION("causal", 1, "there are no later keys"),
                       FLAG_OPTION("scaled", 0, "the bias is times the square root of a head's channels"),
                       FLAG_OPTION("rotary", 0, "queries and keys turn")),
    .characters = CHARACTERS({"position", "relative"}),
    .validate = validate,
    .rotate = rotate,
    .rotate_to = rotate_to,
    .bias = bias,
};
