/* token-blocks.h: a sequence cut into blocks, each of which sees some tokens before its own as well. */
#ifndef CLADE_KERNELS_TOKEN_BLOCKS_H
#define CLADE_KERNELS_TOKEN_BLOCKS_H

#include "block/kernel.h"
#include <math.h>

/* `count` blocks of `size` tokens, the last one filled up by `padding`, and `memory` tokens before each. */
struct cut {
    int64_t size, count, memory, padding;
};

/* Blocks no longer than the sequence, and no more memory than a block can have before it. */
static inline struct cut cut_tokens(int64_t length, int64_t block, int64_t memory)
{
    struct cut cut = {.size = block < length ? block : length};
    cut.count = (length + cut.size - 1) / cut.size;
    cut.padding = cut.count * cut.size - length;
    int64_t most = (cut.count - 1) * cut.size;
    cut.memory = memory < most ? memory : most;
    return cut;
}

/* x [B, T, H, e] -> [B count, size, H, e], and back. */
static inline tensor *own_tokens(struct cut cut, tensor *x)
{
    return tensor_reshape(tensor_pad(x, 1, 0, cut.padding, 0), 4,
                          SHAPE(x->shape[0] * cut.count, cut.size, x->shape[2], x->shape[3]));
}

static inline tensor *joined_blocks(struct cut cut, tensor *x, int64_t batch)
{
    x = tensor_reshape(x, 4, SHAPE(batch, cut.count * cut.size, x->shape[2], x->shape[3]));
    return tensor_slice(x, 1, 0, cut.count * cut.size - cut.padding);
}

/* x [B, T, H, e] -> [B count, memory + size, H, e]. */
static inline tensor *spans(struct cut cut, tensor *x)
{
    int64_t batch = x->shape[0], span = cut.memory + cut.size;
    tensor *windows = tensor_windows(tensor_pad(x, 1, cut.memory, cut.padding, 0), 1, span, cut.size);
    return tensor_reshape(windows, 4, SHAPE(batch * cut.count, span, x->shape[2], x->shape[3]));
}

/* x [B, T, H, e] cut so that a block holds the tokens that the next one is the first not to see:
 * [B, count, size, H, e]. */
static inline tensor *older_tokens(struct cut cut, tensor *x)
{
    tensor *moved = tensor_shift(tensor_pad(x, 1, 0, cut.padding, 0), 1, cut.memory);
    return tensor_reshape(moved, 5, SHAPE(x->shape[0], cut.count, cut.size, x->shape[2], x->shape[3]));
}

/* -infinity where the first blocks have no token before them, else 0: [B count, 1, 1, memory + size], a bias
 * of scores. */
static inline tensor *absent_tokens(struct graph *graph, struct cut cut, int64_t batch)
{
    int64_t span = cut.memory + cut.size;
    tensor *bias = tensor_constant(graph, NULL, 4, SHAPE(batch * cut.count, 1, 1, span));
    for (int64_t n = 0; n < batch * cut.count * span; n++)
        bias->data[n] = n / span % cut.count * cut.size + n % span < cut.memory ? -(real)INFINITY : 0;
    return bias;
}

#endif
