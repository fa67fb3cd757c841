/* Layers inside kernels that hold a stack of their own, as lucidrains' modules name their parts. */
#ifndef CLADE_KERNELS_INNER_LAYERS_H
#define CLADE_KERNELS_INNER_LAYERS_H

#include "block/kernel.h"

struct inner_heads {
    int64_t heads, head_dim;
    bool causal;
};

/* Softmax attention of x [B, T, D] over context [B, S, C] with NAME.to_q, NAME.to_kv (keys, then values) and
 * NAME.to_out. */
static inline tensor *inner_attention(struct scope *s, const char *name, tensor *x, tensor *context,
                                      struct inner_heads of)
{
    int64_t inner = of.heads * of.head_dim, D = x->shape[2];
    tensor *q = linear(s, part_name(s, "%s.to_q", name), x, inner, false);
    tensor *kv = linear(s, part_name(s, "%s.to_kv", name), context, 2 * inner, false);
    tensor *k = split_heads(tensor_slice(kv, 2, 0, inner), of.heads),
           *v = split_heads(tensor_slice(kv, 2, inner, inner), of.heads);
    struct attention_options options = {.causal = of.causal};
    tensor *y = merge_heads(tensor_attention(split_heads(q, of.heads), k, v, &options));
    return linear(s, part_name(s, "%s.to_out", name), y, D, true);
}

/* x + attention(norm(x)), over itself where there is no context, which is not normalised; the parts are
 * NAME.norm and NAME.fn. */
static inline tensor *inner_attention_layer(struct scope *s, const char *name, tensor *x, tensor *context,
                                            struct inner_heads of)
{
    tensor *n = layer_norm(s, part_name(s, "%s.norm", name), x, 1e-5);
    return tensor_add(x, inner_attention(s, part_name(s, "%s.fn", name), n, context ? context : n, of));
}

#endif
