/* yarn-rotary.h: the frequencies of YaRN, which other methods start from. */
#ifndef CLADE_KERNELS_YARN_ROTARY_H
#define CLADE_KERNELS_YARN_ROTARY_H

#include "rotary.h"

/* The pair, a broken number, that turns `turns` times within `length` tokens. */
static inline double pair_of_turns(const struct rotation *r, double turns, double length)
{
    return (double)r->channels * log(length / (2 * M_PI * turns)) / (2 * log(option_real(r->s, "theta")));
}

/* How much of pair i's own frequency is kept: 1 if it turns more than `fast` times within `length` tokens, 0
 * if less than `slow` times, and between them falling linearly with i. */
static inline double kept_share(const struct rotation *r, int64_t i, double fast, double slow, double length)
{
    double low = fmax(floor(pair_of_turns(r, fast, length)), 0);
    double high = fmin(ceil(pair_of_turns(r, slow, length)), (double)(r->channels - 1));
    if (low == high)
        high += 0.001;
    return 1 - fmin(fmax(((double)i - low) / (high - low), 0), 1);
}

/* 0.1 ln(factor) + 1, by which queries and keys are multiplied; 1 where nothing is extended. */
static inline double attention_temperature(double factor)
{
    return factor > 1 ? 0.1 * log(factor) + 1 : 1;
}

#endif
