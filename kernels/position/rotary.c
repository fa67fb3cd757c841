/* Rotary position embedding (roformer, eq. 15 and 34): the pairs of channels of q and k are turned by t w_i,
 * w_i = theta^(-2i / r), for the first r channels of each head. `interleaved` pairs (2i, 2i + 1) as the paper
 * does, else (i, i + r / 2) as LLaMA's code. Scores then depend on t - s only. */
#include "block/kernel.h"

static tensor *rotate(struct scope *s, tensor *x, bool is_key, int64_t start)
{
    (void)is_key;
    int64_t d = x->shape[3], r = option(s, "rotary_dim") ? option(s, "rotary_dim") : d;
    if (r > d || r % 2)
        kernel_fail(s, "rotary_dim %lld is odd or larger than the head's %lld channels", (long long)r,
                    (long long)d);
    tensor *angles = rotary_angles(s, start, x->shape[1], r / 2, option_real(s, "theta"));
    return tensor_rotary(x, angles, option(s, "interleaved"));
}

KERNEL(rotary) = {
    .name = "rotary",
    .slot = SLOT_POSITION,
    .variant = "roformer",
    .summary = "rotates queries and keys by angles proportional to their position",
    .options = OPTIONS(REAL_OPTION("theta", 10000, 1, 1e12, "base of the frequencies"),
                       INTEGER_OPTION("rotary_dim", 0, 0, 4096, "channels of a head that turn; 0: all"),
                       FLAG_OPTION("interleaved", 1, "pairs are neighbours, not halves")),
    .characters = CHARACTERS({"position", "rotary"}),
    .rotate = rotate,
};
