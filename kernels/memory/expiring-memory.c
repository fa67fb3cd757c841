/* The memory of attention whose rows expire (expire-span; facebookresearch/transformer-sequential
 * models/expire_span.py).
 *
 * Each layer sees its own inputs of the segments before, with their gradient, until they are older than span
 * + ramp, when the mixer (expiring-attention) has surely forgotten them. Before the first segment stand as
 * many rows of zeros as a segment has. */
#include "block/kernel.h"
#include <math.h>

static tensor *segment(struct scope *s, tensor *x)
{
    int64_t reach = (int64_t)ceil(option_real(s, "span") + option_real(s, "ramp"));
    for (int layer = 0; layer < s->layers; layer++) {
        const char *name = part_name(s, "memory.%d", layer);
        tensor *memory = carried(s, name);
        if (!memory)
            memory = tensor_full(s->graph, 0, 3, SHAPE(x->shape[0], option(s, "segment"), s->width));
        tensor *y = layer_forward(s, layer, x, memory);
        carry(s, name, newest_rows(memory, x, reach));
        x = y;
    }
    return option(s, "final_norm") ? layer_norm(s, "norm", x, option_real(s, "epsilon")) : x;
}

static tensor *forward(struct scope *s, tensor *x)
{
    return by_segments(s, x, option(s, "segment"), segment);
}

KERNEL(expiring_memory) = {
    .name = "expiring-memory",
    .slot = SLOT_MEMORY,
    .variant = "expire-span",
    .summary = "each layer's earlier inputs are kept until the mixer has forgotten them",
    .options = OPTIONS(INTEGER_OPTION("segment", 128, 1, 1 << 24, "tokens of a segment"),
                       REAL_OPTION("span", 256, 1, 1e9, "longest time that a row is remembered"),
                       REAL_OPTION("ramp", 32, 1e-3, 1e9, "tokens over which it fades"),
                       FLAG_OPTION("final_norm", 1, "a layer norm after the last layer"),
                       REAL_OPTION("epsilon", 1e-5, 0, 1, "of that norm")),
    .characters = CHARACTERS({"memory", "cache"}, {"state", "segments"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .forward = forward,
    .step = forward,
};
