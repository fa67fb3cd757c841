/* Unlimiformer (unlimiformer, section 2.3; abertsch72/unlimiformer src/unlimiformer.py): cross-attention to
 * the `top_k` best rows of a context of any length. One index serves all heads and layers, since the query
 * takes in the head's key projection:
 *
 *     q_h . (W_k,h c + b_k,h) = (q_h W_k,h) . c + q_h . b_k,h
 *
 * The last term is the same for all rows c and changes neither the choice nor the softmax. So too for values:
 * the weights sum to one, and W_v,h sum_i w_i c_i + b_v,h needs no projected rows. The search is exact. The
 * context is the further input `context` [B, N, D]; in a step it is the same one again. */
#include "block/kernel.h"
#include <math.h>

/* NAME.weight as [H, d, D], and NAME.bias as [H, d]. */
static tensor *weight_by_head(struct scope *s, const char *name, tensor **bias)
{
    int64_t heads = option(s, "heads"), width = s->width, d = width / heads;
    tensor *weight = parameter(s, part_name(s, "%s.weight", name), init_linear(), 2, SHAPE(width, width));
    *bias = tensor_reshape(parameter(s, part_name(s, "%s.bias", name), init_constant(0), 1, SHAPE(width)), 2,
                           SHAPE(heads, d));
    return tensor_reshape(weight, 3, SHAPE(heads, d, width));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), B = x->shape[0], T = x->shape[1], D = s->width,
            k = option(s, "top_k");
    tensor *context = further_input(s, "context"), *key_bias, *value_bias;
    if (!context || context->rank != 3 || context->shape[0] != B || context->shape[2] != D)
        kernel_fail(s, "it reads an input 'context' [B, N, width]");
    k = k < context->shape[1] ? k : context->shape[1];
    tensor *q = split_heads(linear(s, "q_proj", x, D, true), heads);
    q = tensor_scale(q, 1 / sqrt((double)(D / heads)));
    tensor *search = per_head_product(q, weight_by_head(s, "k_proj", &key_bias), false); /* [B, T, H, D] */
    tensor *scores = tensor_matmul_nt(tensor_reshape(search, 3, SHAPE(B, T * heads, D)), context), *places;
    scores = tensor_reshape(scores, 4, SHAPE(B, T, heads, -1));
    scores = tensor_add(tensor_top_k(scores, k, &places), tensor_sum(tensor_multiply(q, key_bias), 3));
    tensor *rows = tensor_gather(context, 1, tensor_reshape(places, 3, SHAPE(B, -1, 1)));
    tensor *weights = tensor_reshape(tensor_softmax(scores, 3), 3, SHAPE(B * T * heads, 1, k));
    tensor *mixed = tensor_matmul(weights, tensor_reshape(rows, 3, SHAPE(B * T * heads, k, D)));
    mixed = tensor_reshape(mixed, 4, SHAPE(B, T, heads, D));
    tensor *values = per_head_product(mixed, weight_by_head(s, "v_proj", &value_bias), true);
    return linear(s, "out_proj", merge_heads(tensor_add(values, value_bias)), D, true);
}

KERNEL(nearest_context_attention) = {
    .name = "nearest-context-attention",
    .slot = SLOT_PROCEDURE,
    .variant = "unlimiformer",
    .summary = "each head attends to the rows of a long context that its queries find in one index",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "query heads"),
                       INTEGER_OPTION("top_k", 16, 1, 1 << 20, "rows that each head of a query fetches")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "content"}, {"memory", "retrieval"}, {"state", "none"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
