/* encoder.h: the layers of an encoder that an objective has beside the stack, as BERT's (google-research/bert
 * modeling.py): norms behind the residual sums. */
#ifndef CLADE_KERNELS_ENCODER_H
#define CLADE_KERNELS_ENCODER_H

#include "block/kernel.h"

static inline tensor *encoder_attention(struct scope *s, const char *layer, tensor *x, int64_t heads)
{
    static const char *const names[] = {"query", "key", "value"};
    int64_t width = x->shape[2];
    tensor *qkv[3];
    for (int i = 0; i < 3; i++)
        qkv[i] = split_heads(linear(s, part_name(s, "%s.attention.self.%s", layer, names[i]), x, width, true),
                             heads);
    tensor *y = tensor_attention(qkv[0], qkv[1], qkv[2], &(struct attention_options){.causal = false});
    return linear(s, part_name(s, "%s.attention.output.dense", layer), merge_heads(y), width, true);
}

/* x [B, T, W] through NAME.layer.0 to NAME.layer.(count - 1). */
static inline tensor *encoder_layers(struct scope *s, const char *name, tensor *x, int64_t count,
                                     int64_t heads, const char *activation, double epsilon)
{
    int64_t width = x->shape[2];
    for (int64_t i = 0; i < count; i++) {
        const char *layer = part_name(s, "%s.layer.%d", name, (int)i);
        x = layer_norm(s, part_name(s, "%s.attention.output.LayerNorm", layer),
                       tensor_add(x, encoder_attention(s, layer, x, heads)), epsilon);
        tensor *h = linear(s, part_name(s, "%s.intermediate.dense", layer), x, 4 * width, true);
        h = linear(s, part_name(s, "%s.output.dense", layer), tensor_activation(h, activation), width, true);
        x = layer_norm(s, part_name(s, "%s.output.LayerNorm", layer), tensor_add(x, h), epsilon);
    }
    return x;
}

#endif
