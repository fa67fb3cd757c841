/* Position interpolation (position-interpolation, section 2.3): rotary positions t are replaced by t /
 * factor, factor = L' / L being the ratio of the new length to the trained one, so that the angles of L'
 * tokens lie in the trained range. It holds for every input, also for one that is shorter than L. */
#include "rotary.h"

static double frequency(const struct rotation *r, int64_t i)
{
    return plain_frequency(r, i) / option_real(r->s, "factor");
}

static tensor *rotate(struct scope *s, tensor *x, bool is_key, int64_t start)
{
    (void)is_key;
    return turn_by_frequency(s, x, start, frequency);
}

static tensor *rotate_to(struct scope *s, tensor *x, const real *places)
{
    return turn_to_places(s, x, places, frequency);
}

KERNEL(position_interpolation) = {
    .name = "position-interpolation",
    .slot = SLOT_POSITION,
    .variant = "position-interpolation",
    .summary = "rotary positions divided by the ratio of the new length to the trained one",
    .options = OPTIONS(ROTARY_OPTIONS(0), REAL_OPTION("factor", 4, 1e-6, 1e6, "positions are divided by it")),
    .characters = CHARACTERS({"position", "rotary"}),
    .rotate = rotate,
    .rotate_to = rotate_to,
};
