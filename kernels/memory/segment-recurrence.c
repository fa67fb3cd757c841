/* Segment-level recurrence with state reuse (transformer-xl, section 3.2; kimiyoung/transformer-xl
 * mem_transformer.py).
 *
 * The sequence is cut in segments. Each layer also attends to a memory: the last `memory` rows of (its memory
 * before; its input in the segment before), without gradient. Without a segment length there is one segment,
 * and the memory is the further input "mems", to which gradients flow. With `same_length` every query sees at
 * most `memory` keys. Layers of a pattern may keep memories of different lengths or none
 * (fewer-long-memories); a segment is the same for all.
 *
 * A step runs the present segment again over its tokens so far, so its cost is bounded by the segment. */
#include "block/kernel.h"

/* Rows that a layer keeps. */
static int64_t kept(struct scope *s, int layer)
{
    return layer_option(s, layer, "memory", 0);
}

/* All layers over one segment; "mems" is what they get where nothing is carried. */
static tensor *segment(struct scope *s, tensor *x)
{
    tensor *given = option(s, "segment") ? NULL : further_input(s, "mems");
    for (int layer = 0; layer < s->layers; layer++) {
        const char *name = part_name(s, "memory.%d", layer);
        tensor *memory = given && given->shape[1] ? given : carried(s, name);
        s->memory_window = layer_option(s, layer, "same_length", 0) ? kept(s, layer) : 0;
        tensor *y = layer_forward(s, layer, x, memory);
        tensor *newest = newest_rows(memory, tensor_stop_gradient(x), kept(s, layer));
        if (newest)
            carry(s, name, newest);
        x = y;
    }
    return x;
}

static void check_layers(struct scope *s)
{
    for (int layer = 0; layer < s->layers; layer++) {
        int64_t other = layer_option(s, layer, "segment", option(s, "segment"));
        if (other != option(s, "segment"))
            kernel_fail(s, "the segments of layers differ: %lld and %lld tokens",
                        (long long)option(s, "segment"), (long long)other);
    }
}

static tensor *forward(struct scope *s, tensor *x)
{
    check_layers(s);
    return by_segments(s, x, option_or(s, "segment", x->shape[1]), segment);
}

static tensor *step(struct scope *s, tensor *x)
{
    return option(s, "segment") ? forward(s, x) : replay_step(s, x);
}

static const char *validate(const struct scope *s)
{
    return option(s, "same_length") && !option(s, "memory")
               ? "same_length sees as many keys as memory keeps: set memory"
               : NULL;
}

KERNEL(segment_recurrence) = {
    .name = "segment-recurrence",
    .slot = SLOT_MEMORY,
    .variant = "transformer-xl",
    .summary = "each layer attends to its own inputs of the segments before, kept without gradient",
    .options = OPTIONS(INTEGER_OPTION("segment", 128, 0, 1 << 24, "tokens of a segment; 0: all in one"),
                       INTEGER_OPTION("memory", 128, 0, 1 << 24, "rows that each layer keeps"),
                       FLAG_OPTION("same_length", 0, "every query sees equally many keys")),
    .characters = CHARACTERS({"memory", "cache"}, {"state", "segments"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = step,
};
