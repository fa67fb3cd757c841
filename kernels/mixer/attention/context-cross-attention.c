/* Cross-attention to chunks of context that were encoded apart (cepe, section 2.1; princeton-nlp/CEPE
 * modeling_llama_flash.py LlamaCrossAttention): every token sees all rows of all chunks, without positions
 * and without a mask.
 *
 *     y = concat_h( softmax( q_h k_g^T / sqrt(d) ) v_g ) Wo,   q = x Wq, k = c Wk, v = c Wv
 *
 * The chunks are the further input `context`, [B, K, L, E] or [B, S, E]; E need not be the width. In a step
 * they are the same ones again. */
#include "block/kernel.h"

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), groups = key_value_heads(s), d = head_dim(s);
    tensor *context = further_input(s, "context");
    if (!context || context->rank < 3 || context->shape[0] != x->shape[0])
        kernel_fail(s, "it reads an input 'context' [B, chunks, tokens, width]");
    context = tensor_reshape(context, 3, SHAPE(x->shape[0], -1, tensor_length(context, -1)));
    tensor *q = split_heads(linear(s, "q_proj", x, heads * d, false), heads);
    tensor *k = split_heads(linear(s, "k_proj", context, groups * d, false), groups);
    tensor *v = split_heads(linear(s, "v_proj", context, groups * d, false), groups);
    tensor *y = tensor_attention(q, k, v, &(struct attention_options){.causal = false});
    return linear(s, "o_proj", merge_heads(y), s->width, false);
}

KERNEL(context_cross_attention) = {
    .name = "context-cross-attention",
    .slot = SLOT_MIXER,
    .variant = "cepe",
    .summary = "softmax attention from each token to encoded chunks of context",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "query heads"),
                       INTEGER_OPTION("kv_heads", 0, 0, 1024, "key-value heads; 0: as many as heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "global"}, {"state", "none"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
