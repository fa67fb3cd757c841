/* A layer norm of the embeddings before the first block, as RWKV's ln0 (rwkv4; RWKV-v4/src/model.py Block). */
#include "block/kernel.h"

static tensor *forward(struct scope *s, tensor *x)
{
    tensor *weight = parameter(s, "weight", init_constant(1), 1, SHAPE(s->width));
    tensor *bias = parameter(s, "bias", init_constant(0), 1, SHAPE(s->width));
    return tensor_layer_norm(x, weight, bias, option_real(s, "epsilon"));
}

KERNEL(input_norm) = {
    .name = "input-norm",
    .slot = SLOT_EMBEDDING,
    .variant = "rwkv4",
    .summary = "a layer norm of the embeddings before the first block",
    .options = OPTIONS(REAL_OPTION("epsilon", 1e-5, 0, 1, "added to the variance")),
    .after_position = true,
    .forward = forward,
    .step = forward,
};
