/* Sinusoidal positions (transformer, section 3.5), added to the stack's input:
 *     p_t[2i] = sin(t w_i), p_t[2i + 1] = cos(t w_i), w_i = theta^(-2i / D). */
#include "block/kernel.h"

static tensor *embed(struct scope *s, tensor *x)
{
    struct sinusoids of = {.first = s->position, .step = 1, .base = option_real(s, "theta")};
    return tensor_add(x, sinusoids(s, x->shape[1], of));
}

KERNEL(sinusoidal) = {
    .name = "sinusoidal",
    .slot = SLOT_POSITION,
    .variant = "transformer",
    .summary = "adds sines and cosines of the position at geometric frequencies to the input",
    .options = OPTIONS(REAL_OPTION("theta", 10000, 1, 1e12, "base of the frequencies")),
    .characters = CHARACTERS({"position", "absolute"}),
    .embed = embed,
};
