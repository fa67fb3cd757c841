/* global-tokens.h: the first tokens of a sequence see all and are seen by all; the others see what else their
 * pattern allows. */
#ifndef CLADE_KERNELS_GLOBAL_TOKENS_H
#define CLADE_KERNELS_GLOBAL_TOKENS_H

#include "block/kernel.h"

/* Attention of q over k and v [B, T, H, d] where the first `count` tokens are global and the rest follow
 * `pattern`, whose blocks are counted from the first token that is not global. */
static inline tensor *attend_beside_globals(tensor *q, tensor *k, tensor *v, int64_t count,
                                            struct attention_options pattern)
{
    int64_t length = q->shape[1];
    const struct attention_options all = {0};
    if (count >= length)
        return tensor_attention(q, k, v, &all);
    pattern.sinks = pattern.offset = count;
    pattern.start = -count;
    tensor *rest = tensor_attention(tensor_slice(q, 1, count, length - count), k, v, &pattern);
    if (!count)
        return rest;
    tensor *global = tensor_attention(tensor_slice(q, 1, 0, count), k, v, &all);
    return tensor_concat(2, (tensor *[]){global, rest}, 1);
}

#endif
