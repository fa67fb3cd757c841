/* Lossless compressed memory (loma, sections 3.1, 4.3 and 4.5; no code is published): after every t c tokens
 * stand t rows of one trained vector, which take the place of these tokens in all later attention, in every
 * layer.
 *
 *     (y_i, M_i) = layers([x_i ; mem .. mem])
 *         t = tokens, c = ratio; a part of fewer than t c tokens is not compressed
 *
 * A token sees the memory rows of all earlier parts and the tokens of its own up to itself; a memory row sees
 * its whole part and all t memory rows of that part, nothing older. Row i of the part that starts at b stands
 * at place b + (i + 1) c - 1. Layers get as memory what their memory rows got, and make keys and values of it
 * anew in each part. The zone in which training repeats the text is left out. */
#include "block/kernel.h"
#include <math.h>

/* Places of [older memory rows ; tokens ; own memory rows]. */
static tensor *places(struct scope *s, int64_t older, int64_t length, int64_t own)
{
    int64_t count = option(s, "tokens"), ratio = option(s, "ratio"), start = older * ratio;
    tensor *place = tensor_constant(s->graph, NULL, 1, SHAPE(older + length + own));
    for (int64_t i = 0; i < older + own; i++) {
        int64_t begin = i / count * count * ratio;
        place->data[i < older ? i : i + length] = (real)(begin + (i % count + 1) * ratio - 1);
    }
    for (int64_t i = 0; i < length; i++)
        place->data[older + i] = (real)(start + i);
    return place;
}

/* -infinity where a row of [tokens ; own memory rows] must not see one of [older memory rows ; tokens ; own
 * memory rows]. */
static tensor *mask(struct graph *graph, int64_t older, int64_t length, int64_t own)
{
    int64_t rows = length + own, keys = older + rows;
    tensor *hidden = tensor_constant(graph, NULL, 4, SHAPE(1, 1, rows, keys));
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < keys; j++) {
            bool seen = i < length ? j <= older + i : j >= older;
            hidden->data[i * keys + j] = seen ? 0 : -(real)INFINITY;
        }
    return hidden;
}

static tensor *part(struct scope *s, tensor *x)
{
    int64_t count = option(s, "tokens"), length = x->shape[1], batch = x->shape[0];
    int64_t own = length == count * option(s, "ratio") ? count : 0;
    tensor *vector = parameter(s, "mem", init_normal(0.02), 1, SHAPE(s->width));
    if (own)
        x = tensor_concat(2, (tensor *[]){x, tensor_broadcast(vector, 3, SHAPE(batch, own, s->width))}, 1);
    for (int layer = 0; layer < s->layers; layer++) {
        const char *name = part_name(s, "memory.%d", layer);
        tensor *memory = carried(s, name);
        if (layer == 0) {
            int64_t older = memory ? memory->shape[1] : 0;
            s->memory_mask = mask(s->graph, older, length, own);
            s->places = places(s, older, length, own);
        }
        if (own)
            carry(s, name, newest_rows(memory, tensor_slice(x, 1, length, own), INT64_MAX));
        x = layer_forward(s, layer, x, memory);
    }
    return tensor_slice(x, 1, 0, length);
}

static tensor *forward(struct scope *s, tensor *x)
{
    return by_segments(s, x, option(s, "tokens") * option(s, "ratio"), part);
}

KERNEL(lossless_compressed_memory) = {
    .name = "lossless-compressed-memory",
    .slot = SLOT_MEMORY,
    .variant = "loma",
    .summary = "rows behind each part of the text stand for it in later attention, in every layer",
    .options = OPTIONS(INTEGER_OPTION("tokens", 16, 1, 1 << 20, "memory rows of a part"),
                       INTEGER_OPTION("ratio", 4, 1, 1 << 20, "tokens for which a row stands")),
    .characters = CHARACTERS({"memory", "compressed"}, {"state", "compressed-cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .forward = forward,
    .step = forward,
};
