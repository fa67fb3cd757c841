/* Sinusoidal positions (transformer, section 3.5), added to the stack's input:
 *     p_t[2i] = sin(t w_i), p_t[2i + 1] = cos(t w_i), w_i = theta^(-2i / D). */
#include "block/kernel.h"
#include <math.h>

static tensor *embed(struct scope *s, tensor *x)
{
    int64_t length = x->shape[1], width = s->width;
    tensor *positions = tensor_constant(s->graph, NULL, 2, SHAPE(length, width));
    for (int64_t t = 0; t < length; t++)
        for (int64_t i = 0; i < width; i++) {
            double angle = (double)(s->position + t) *
                           pow(option_real(s, "theta"), -(double)(i / 2 * 2) / (double)width);
            positions->data[t * width + i] = (real)(i % 2 ? cos(angle) : sin(angle));
        }
    return tensor_add(x, positions);
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
