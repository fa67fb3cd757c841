/* Segment-level recurrence with state reuse (transformer-xl, section 3.2; kimiyoung/transformer-xl mem_transformer.py).
 *
 * The sequence is cut in segments. Each layer also attends to a memory: the last `memory` rows of (its memory before; its input in
 * the segment before), without gradient. Without a segment length there is one segment, and the memory is the further input
 * "mems", to which gradients flow. With `same_length` every query sees at most `memory` keys. Layers of a pattern may keep
 * memories of different lengths or none (fewer-long-memories); a segment is the same for all.
 *
 * A step runs the present segment again over its tokens so far, so its cost is bounded by the segment. */
#include "block/kernel.h"

static tensor *newest(tensor *before, tensor *x, int64_t count)
{
    tensor *all = before ? tensor_concat(2, (tensor *[]){before, x}, 1) : x;
    int64_t rows = all->shape[1] < count ? all->shape[1] : count;
    return rows ? tensor_slice(all, 1, all->shape[1] - rows, rows) : NULL;
}

/* Rows that a layer keeps. */
static int64_t kept(struct scope *s, int layer)
{
    return layer_option(s, layer, "memory", 0);
}

/* All layers over one segment; memories[l] becomes what layer l will see next time. */
static tensor *segment(struct scope *s, tensor *x, tensor **memories)
{
    for (int layer = 0; layer < s->layers; layer++) {
        s->memory_window = layer_option(s, layer, "same_length", 0) ? kept(s, layer) : 0;
        tensor *y = layer_forward(s, layer, x, memories[layer]);
        memories[layer] = newest(memories[layer], tensor_stop_gradient(x), kept(s, layer));
        x = y;
    }
    return x;
}

enum { LAYERS_MAXIMUM = 256 };

static void check_layers(struct scope *s)
{
    if (s->layers > LAYERS_MAXIMUM)
        kernel_fail(s, "more than %d layers", LAYERS_MAXIMUM);
    for (int layer = 0; layer < s->layers; layer++) {
        int64_t other = layer_option(s, layer, "segment", option(s, "segment"));
        if (other != option(s, "segment"))
            kernel_fail(s, "the segments of layers differ: %lld and %lld tokens",
                        (long long)option(s, "segment"), (long long)other);
    }
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t length = x->shape[1], piece = option(s, "segment") ? option(s, "segment") : length;
    tensor *memories[LAYERS_MAXIMUM] = {NULL}, *y = NULL;
    check_layers(s);
    tensor *given = option(s, "segment") ? NULL : further_input(s, "mems");
    for (int layer = 0; layer < s->layers && given && given->shape[1]; layer++)
        memories[layer] = given;
    for (int64_t start = 0; start < length; start += piece) {
        int64_t rows = length - start < piece ? length - start : piece;
        tensor *part = segment(s, tensor_slice(x, 1, start, rows), memories);
        y = y ? tensor_concat(2, (tensor *[]){y, part}, 1) : part;
    }
    return y;
}

static const char *memory_name(struct scope *s, int layer)
{
    return part_name(s, "memory.%d", layer);
}

/* One token: the segment's rows so far are in `rows`, newest last, each layer's memory in "memory.LAYER". */
static tensor *one_step(struct scope *s, tensor *x)
{
    int64_t piece = option(s, "segment"), batch = x->shape[0], inside = s->position % piece + 1;
    int64_t past = s->position / piece * piece;
    tensor *rows = state(s, "rows", 0, 3, SHAPE(batch, piece, s->width)), *memories[LAYERS_MAXIMUM] = {NULL},
           *before[LAYERS_MAXIMUM];
    rows = tensor_concat(2, (tensor *[]){tensor_slice(rows, 1, 1, piece - 1), x}, 1);
    state_set(s, "rows", rows);
    for (int layer = 0; layer < s->layers; layer++) {
        int64_t count = kept(s, layer), valid = count < past ? count : past;
        if (count)
            before[layer] = state(s, memory_name(s, layer), 0, 3, SHAPE(batch, count, s->width));
        if (valid)
            memories[layer] = tensor_slice(before[layer], 1, count - valid, valid);
    }
    struct scope parallel = *s;
    parallel.state = NULL;
    tensor *y = segment(&parallel, tensor_slice(rows, 1, piece - inside, inside), memories);
    for (int layer = 0; layer < s->layers; layer++) {
        int64_t count = kept(s, layer);
        if (count == 0)
            continue;
        tensor *after = inside == piece ? memories[layer] : before[layer];
        if (after->shape[1] < count)
            after = tensor_pad(after, 1, count - after->shape[1], 0, 0);
        state_set(s, memory_name(s, layer), after);
    }
    return tensor_slice(y, 1, -1, 1);
}

static tensor *step(struct scope *s, tensor *x)
{
    return option(s, "segment") ? step_by_token(s, x, one_step) : replay_step(s, x);
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
