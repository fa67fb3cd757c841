/* xPos (xpos, section 3.2, algorithm 1; microsoft/torchscale XPOS): rotary positions whose pairs also shrink
 * with distance,
 *
 *     q_t -> z_i^((t - o) / base) (q_t turned by t w_i),
 *         k_s -> z_i^(-(s - o) / base) (k_s turned by s w_i)
 *     z_i = (2i / r + gamma) / (1 + gamma),    w_i = theta^(-2i / r)
 *
 * so that a score has z_i^((t - s) / base) in pair i: fast pairs fade first. No score depends on the origin
 * o; it is the middle of the tokens of the call, as published, and of the new ones where earlier keys are
 * cached. Those are cached before they turn, so no power of a far position is ever kept. The blocks that the
 * paper attends in at inference are a matter of the mixer. */
#include "rotary.h"

static tensor *rotate(struct scope *s, tensor *x, bool is_key, int64_t start)
{
    int64_t length = x->shape[1], d = x->shape[3], channels = rotary_channels(s, d), pairs = channels / 2;
    int64_t origin = (s->position + start + length + 1) / 2;
    double gamma = option_real(s, "gamma"), base = option_real(s, "scale_base") * (is_key ? -1 : 1);
    bool interleaved = option(s, "interleaved");
    tensor *power = tensor_full(s->graph, 1, 3, SHAPE(length, 1, d));
    for (int64_t i = 0; i < pairs; i++) {
        double z = ((double)i / (double)pairs + gamma) / (1 + gamma);
        int64_t one = interleaved ? 2 * i : i, other = interleaved ? one + 1 : i + pairs;
        for (int64_t t = 0; t < length; t++)
            power->data[t * d + one] = power->data[t * d + other] =
                (real)pow(z, (double)(start + t - origin) / base);
    }
    return tensor_multiply(turn_by_frequency(s, x, start, plain_frequency), power);
}

KERNEL(xpos) = {
    .name = "xpos",
    .slot = SLOT_POSITION,
    .variant = "xpos",
    .summary = "rotary positions with an exponential decay of each pair over the distance",
    .options = OPTIONS(ROTARY_OPTIONS(1), REAL_OPTION("scale_base", 512, 1e-3, 1e9, "distance of one decay"),
                       REAL_OPTION("gamma", 0.4, 1e-6, 1e6, "how little the fastest pair decays")),
    .characters = CHARACTERS({"position", "rotary"}),
    .rotate = rotate,
    .rotates_anew = rotates_at_every_step,
};
