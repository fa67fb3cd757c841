/* A layer norm of the stack's input: of the embeddings before the first block, as RWKV's ln0 (rwkv4;
 * RWKV-v4/src/model.py Block), and behind the sum with the positions, where these are added. With `segments`
 * a trained vector of each token's segment is added before it, that of the input "segments" [B, T], without
 * which all are of the first (bert, section 3; google-research/bert modeling.py). */
#include "block/kernel.h"

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t count = option(s, "segments");
    if (count) {
        tensor *table =
            parameter(s, "token_type_embeddings.weight", init_normal(0.02), 2, SHAPE(count, s->width));
        tensor *segments = further_input(s, "segments");
        x = tensor_add(x, segments ? tensor_rows(table, segments) : tensor_slice(table, 0, 0, 1));
    }
    tensor *weight = parameter(s, "weight", init_constant(1), 1, SHAPE(s->width));
    tensor *bias = parameter(s, "bias", init_constant(0), 1, SHAPE(s->width));
    return tensor_layer_norm(x, weight, bias, option_real(s, "epsilon"));
}

KERNEL(input_norm) = {
    .name = "input-norm",
    .slot = SLOT_EMBEDDING,
    .variant = "rwkv4",
    .summary = "a layer norm of the stack's input, behind vectors of its tokens' segments if it has them",
    .options = OPTIONS(REAL_OPTION("epsilon", 1e-5, 0, 1, "added to the variance"),
                       INTEGER_OPTION("segments", 0, 0, 1 << 20, "segments that have a vector; 0: none")),
    .after_position = true,
    .forward = forward,
    .step = forward,
};
