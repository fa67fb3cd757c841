/* LongRoPE (longrope, sections 3.1 and 3.3; microsoft/LongRoPE LongRoPEScaledRotaryEmbedding and
 * MixedLongRoPEScaledRotaryEmbedding): each rotary frequency is divided by a factor of its own, found by
 * search, but for the first tokens of the sequence:
 *
 *     w_i = theta^(-2i / r) / lambda_i,   q, k -> m (q, k turned by t w_i)    for positions t >= start
 *     as roformer has it, without m                                           for t < start
 *     m = sqrt(1 + ln(f) / ln(length)) or, as yarn, 0.1 ln(f) + 1, or 1,  f = extended_length / length
 *
 * lambda is `factors`, a number for each pair. The search and the stages of tuning are no part of the
 * function. */
#include "yarn-rotary.h"

static double frequency(const struct rotation *r, int64_t i)
{
    int count;
    const double *factors = option_list(r->s, "factors", &count);
    return plain_frequency(r, i) / (count ? factors[i] : 1);
}

static double magnitude(const struct scope *s)
{
    double length = (double)option(s, "length"), factor = (double)option(s, "extended_length") / length;
    if (factor <= 1 || option_is(s, "magnitude", "none"))
        return 1;
    if (option_is(s, "magnitude", "yarn"))
        return attention_temperature(factor);
    return sqrt(1 + log(factor) / log(length));
}

static tensor *rotate(struct scope *s, tensor *x, bool is_key, int64_t start)
{
    (void)is_key;
    int count;
    option_list(s, "factors", &count);
    if (count && count != rotary_channels(s, x->shape[3]) / 2)
        kernel_fail(s, "%d factors are given for the %lld pairs of a head that turn", count,
                    (long long)rotary_channels(s, x->shape[3]) / 2);
    int64_t length = x->shape[1], plain = option(s, "start") - start;
    plain = plain < 0 ? 0 : plain < length ? plain : length;
    tensor *parts[2];
    int used = 0;
    if (plain > 0)
        parts[used++] = turn_by_frequency(s, tensor_slice(x, 1, 0, plain), start, plain_frequency);
    if (plain < length)
        parts[used++] = tensor_scale(
            turn_by_frequency(s, tensor_slice(x, 1, plain, length - plain), start + plain, frequency),
            magnitude(s));
    return used == 2 ? tensor_concat(2, parts, 1) : parts[0];
}

KERNEL(searched_rotary_scaling) = {
    .name = "searched-rotary-scaling",
    .slot = SLOT_POSITION,
    .variant = "longrope",
    .summary = "each rotary frequency divided by a factor that a search has found, the first tokens spared",
    .options = OPTIONS(
        ROTARY_OPTIONS(0), LIST_OPTION("factors", "", 1e-6, 1e6, "of each pair of a head; none: all 1"),
        INTEGER_OPTION("start", 0, 0, 1 << 24, "first tokens that turn unscaled"),
        INTEGER_OPTION("length", 2048, 2, 1 << 28, "the trained one"),
        INTEGER_OPTION("extended_length", 8192, 1, 1 << 28, "the one that the factors were searched for"),
        CHOICE_OPTION("magnitude", "su|yarn|none", "how queries and keys grow with the factor")),
    .characters = CHARACTERS({"position", "rotary"}),
    .rotate = rotate,
};
