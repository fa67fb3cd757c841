/* Expanded queries (el-attention). The function of multi-head attention with its products in another order:
 * queries go through the heads' key projections, and what is averaged through their value projections, so
 * that all heads read one and the same cache, the tokens x themselves.
 *
 *     e_h = q_h Wk_h  (D channels),    o_h = softmax(e_h x^T / sqrt(d), over s <= t) x,
 *         y = concat_h(o_h Wv_h^T) Wo
 *
 * A cache of D numbers a token serves heads of any number, where keys and values are 2 D; scores cost D for
 * each head and not d. */
#include "block/kernel.h"
#include <math.h>

/* NAME.weight [H d, D] as a matrix for each head, [H, d, D]. */
static tensor *head_matrices(struct scope *s, const char *name, int64_t heads, int64_t d)
{
    tensor *w = parameter(s, part_name(s, "%s.weight", name), init_linear(), 2, SHAPE(heads * d, s->width));
    return tensor_reshape(w, 3, SHAPE(heads, d, s->width));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = head_dim(s);
    tensor *q = split_heads(linear(s, "q_proj", x, heads * d, false), heads);
    tensor *expanded = per_head_product(q, head_matrices(s, "k_proj", heads, d), false);
    tensor *tokens = split_heads(cache_append(s, "tokens", x, 0), 1);
    struct attention_options options = {.scale = 1 / sqrt((double)d),
                                        .causal = option(s, "causal"),
                                        .offset = tokens->shape[1] - x->shape[1]};
    tensor *read = tensor_attention(expanded, tokens, tokens, &options);
    tensor *y = per_head_product(read, head_matrices(s, "v_proj", heads, d), true);
    return linear(s, "o_proj", merge_heads(y), s->width, false);
}

KERNEL(expanded_query_attention) = {
    .name = "expanded-query-attention",
    .slot = SLOT_MIXER,
    .variant = "el-attention",
    .summary = "multi-head attention whose heads all read the tokens themselves, through expanded queries",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"},
                             {"heads", "single-key-value"}, {"visibility", "all"}, {"state", "cache"},
                             {"time", "quadratic"}, {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = causality_by_option,
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
