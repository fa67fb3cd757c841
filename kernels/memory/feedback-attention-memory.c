/* Feedback attention memory (transformer-fam, algorithm 2): rows that attend to themselves and to a block's
 * tokens carry what they find to the next block, in every layer.
 *
 *     [F' ; y] = layer([F ; x]) over blocks of tokens,    the layer's own weights for F
 *
 * A token sees the last `blocks` blocks, F and the tokens of its block up to itself; F sees F and the whole
 * block. The first block's F is a trained parameter `fam` [R, D], the same for all layers. Nothing is cut
 * from the gradient. Norms must stand before the mixer (placement pre), so that keys of earlier blocks are
 * what they were. The paper leaves positions open: F stands before the block. */
#include "block/kernel.h"
#include <math.h>

/* -infinity where a row of [F ; x] must not see one of [memory ; F ; x]. */
static tensor *mask(struct graph *graph, int64_t memory, int64_t count, int64_t length)
{
    int64_t rows = count + length, columns = memory + rows;
    tensor *hidden = tensor_constant(graph, NULL, 4, SHAPE(1, 1, rows, columns));
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) {
            bool seen = i < count ? j >= memory : j <= memory + i;
            hidden->data[i * columns + j] = seen ? 0 : -(real)INFINITY;
        }
    return hidden;
}

static tensor *segment(struct scope *s, tensor *x)
{
    int64_t count = option(s, "tokens"), length = x->shape[1],
            kept = option(s, "blocks") * option(s, "segment");
    tensor *start = parameter(s, "fam", init_normal(0.02), 2, SHAPE(count, s->width));
    for (int layer = 0; layer < s->layers; layer++) {
        const char *memory_name = part_name(s, "memory.%d", layer),
                   *name = part_name(s, "feedback.%d", layer);
        tensor *memory = carried(s, memory_name), *feedback = carried(s, name);
        if (!feedback)
            feedback = tensor_broadcast(start, 3, SHAPE(x->shape[0], count, s->width));
        if (kept)
            carry(s, memory_name, newest_rows(memory, x, kept));
        s->memory_mask = mask(s->graph, memory ? memory->shape[1] : 0, count, length);
        tensor *y = layer_forward(s, layer, tensor_concat(2, (tensor *[]){feedback, x}, 1), memory);
        carry(s, name, tensor_slice(y, 1, 0, count));
        x = tensor_slice(y, 1, count, length);
    }
    return x;
}

static tensor *forward(struct scope *s, tensor *x)
{
    return by_segments(s, x, option(s, "segment"), segment);
}

KERNEL(feedback_attention_memory) = {
    .name = "feedback-attention-memory",
    .slot = SLOT_MEMORY,
    .variant = "transformer-fam",
    .summary = "rows that attend to themselves and to each block carry its content on, layer by layer",
    .options = OPTIONS(INTEGER_OPTION("segment", 128, 1, 1 << 24, "tokens of a block"),
                       INTEGER_OPTION("tokens", 16, 1, 1 << 20, "rows of feedback"),
                       INTEGER_OPTION("blocks", 1, 0, 1 << 16, "earlier blocks that tokens see")),
    .characters = CHARACTERS({"memory", "tokens"}, {"state", "segments"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .forward = forward,
    .step = forward,
};
