/* Rotary position embedding (roformer, section 3.4.2, eq. 15): the pairs of channels of q and k are turned by
 * t w_i, w_i = theta^(-2i / r), for the first r channels of each head. `interleaved` pairs (2i, 2i + 1) as
 * the paper does, else (i, i + r / 2) as LLaMA's code. Scores then depend on t - s only. */
#include "rotary.h"

static tensor *rotate(struct scope *s, tensor *x, bool is_key, int64_t start)
{
    (void)is_key;
    return turn_by_frequency(s, x, start, plain_frequency);
}

static tensor *rotate_to(struct scope *s, tensor *x, const real *places)
{
    return turn_to_places(s, x, places, plain_frequency);
}

KERNEL(rotary) = {
    .name = "rotary",
    .slot = SLOT_POSITION,
    .variant = "roformer",
    .summary = "rotates queries and keys by angles proportional to their position",
    .options = OPTIONS(ROTARY_OPTIONS(1)),
    .characters = CHARACTERS({"position", "rotary"}),
    .rotate = rotate,
    .rotate_to = rotate_to,
};
