/* Look-ahead memory (lamemo; thu-coai/LaMemo mem_transformer.py): remembered rows go through the layers again
 * with every segment, and look ahead at what has come since.
 *
 *     (m', y) = layers([m ; x])        m the last `memory` rows of the stack's input, without gradient
 *
 * What each row of m has seen already is kept by the mixers (look-ahead-attention); m' is dropped. */
#include "block/kernel.h"

static tensor *segment(struct scope *s, tensor *x)
{
    int64_t length = x->shape[1];
    tensor *memory = carried(s, "memory");
    tensor *kept = newest_rows(memory, tensor_stop_gradient(x), option(s, "memory"));
    if (kept)
        carry(s, "memory", kept);
    if (memory)
        x = tensor_concat(2, (tensor *[]){memory, x}, 1);
    for (int layer = 0; layer < s->layers; layer++)
        x = layer_forward(s, layer, x, NULL);
    return tensor_slice(x, 1, -length, length);
}

static tensor *forward(struct scope *s, tensor *x)
{
    return by_segments(s, x, option(s, "segment"), segment);
}

KERNEL(look_ahead_memory) = {
    .name = "look-ahead-memory",
    .slot = SLOT_MEMORY,
    .variant = "lamemo",
    .summary = "remembered rows go through the layers again and look ahead at newer ones",
    .options = OPTIONS(INTEGER_OPTION("segment", 64, 1, 1 << 24, "tokens of a segment"),
                       INTEGER_OPTION("memory", 64, 0, 1 << 24, "rows of the input that are kept")),
    .characters = CHARACTERS({"memory", "cache"}, {"state", "segments"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .forward = forward,
    .step = forward,
};
