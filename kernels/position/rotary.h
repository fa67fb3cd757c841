/* rotary.h: the rotation that rotary kernels share. Each kernel gives only the frequencies of the pairs. */
#ifndef CLADE_KERNELS_ROTARY_H
#define CLADE_KERNELS_ROTARY_H

#include "block/kernel.h"
#include <math.h>

/* `pairs_are_neighbours`: the default of the option interleaved, 1 as in roformer's paper, 0 as in LLaMA's
 * code. */
#define ROTARY_OPTIONS(pairs_are_neighbours)                                              \
    REAL_OPTION("theta", 10000, 1, 1e12, "base of the frequencies"),                      \
        INTEGER_OPTION("rotary_dim", 0, 0, 4096, "channels of a head that turn; 0: all"), \
        FLAG_OPTION("interleaved", pairs_are_neighbours, "pairs are neighbours, not halves")

struct rotation {
    const struct scope *s;
    int64_t channels; /* of a head that turn */
    int64_t tokens;   /* of the sequence up to now, those that are rotated included */
};

/* Radians per token of pair i. */
typedef double rotary_frequency(const struct rotation *r, int64_t i);

/* theta^(-2i / r), as roformer has it. */
static inline double plain_frequency(const struct rotation *r, int64_t i)
{
    return pow(option_real(r->s, "theta"), -2.0 * (double)i / (double)r->channels);
}

/* The channels of a head that turn; fails if there are not so many. */
static inline int64_t rotary_channels(const struct scope *s, int64_t head_channels)
{
    int64_t channels = option_or(s, "rotary_dim", head_channels);
    if (channels > head_channels || channels % 2)
        kernel_fail(s, "rotary_dim %lld is odd or larger than the head's %lld channels", (long long)channels,
                    (long long)head_channels);
    return channels;
}

struct turn {
    struct rotation rotation;
    rotary_frequency *frequency;
};

static inline double turn_frequency(const void *argument, int64_t i)
{
    const struct turn *turn = argument;
    return turn->frequency(&turn->rotation, i);
}

/* x [B, T, H, d] of positions from `start` on, pair i turned by position times frequency(i). */
static inline tensor *turn_by_frequency(struct scope *s, tensor *x, int64_t start,
                                        rotary_frequency *frequency)
{
    int64_t length = x->shape[1], channels = rotary_channels(s, x->shape[3]);
    struct turn turn = {{s, channels, start + length}, frequency};
    tensor *angles = rotary_angles_of(s, start, length, channels / 2, turn_frequency, &turn);
    return tensor_rotary(x, angles, option(s, "interleaved"));
}

/* The same for tokens at places of their own; for frequencies that do not depend on the number of tokens. */
static inline tensor *turn_to_places(struct scope *s, tensor *x, const real *places,
                                     rotary_frequency *frequency)
{
    int64_t channels = rotary_channels(s, x->shape[3]);
    struct turn turn = {{s, channels, 0}, frequency};
    tensor *angles = rotary_angles_at(s, places, x->shape[1], channels / 2, turn_frequency, &turn);
    return tensor_rotary(x, angles, option(s, "interleaved"));
}

/* For `rotates_anew` of kernels that always do. */
static inline bool rotates_at_every_step(const struct scope *s)
{
    (void)s;
    return true;
}

#endif
