/* grouped-heads.h: the attention layer of a trained model as procedures in its place have it: query heads
 * over fewer key-value heads, projections without biases under LLaMA's names. */
#ifndef CLADE_KERNELS_GROUPED_HEADS_H
#define CLADE_KERNELS_GROUPED_HEADS_H

#include "block/kernel.h"

#define GROUPED_HEADS_OPTIONS                           \
    INTEGER_OPTION("heads", 8, 1, 1024, "query heads"), \
        INTEGER_OPTION("kv_heads", 0, 0, 1024, "key-value heads; 0: as many as heads")

struct projected {
    tensor *q, *k, *v; /* [B, T, heads or kv_heads, d] */
};

static inline struct projected project_heads(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), groups = key_value_heads(s), d = s->width / heads;
    return (struct projected){split_heads(linear(s, "q_proj", x, heads * d, false), heads),
                              split_heads(linear(s, "k_proj", x, groups * d, false), groups),
                              split_heads(linear(s, "v_proj", x, groups * d, false), groups)};
}

static inline tensor *join_heads(struct scope *s, tensor *y)
{
    return linear(s, "o_proj", merge_heads(y), s->width, false);
}

static inline tensor *rows_of(tensor *x, int64_t start, int64_t count)
{
    return tensor_slice(x, 1, start, count);
}

/* Appends rows of a region of the output to those before it (NULL: none). */
static inline tensor *append_rows(tensor *before, tensor *rows)
{
    return before ? tensor_concat(2, (tensor *[]){before, rows}, 1) : rows;
}

/* Tokens less than `window` away at their true places, those before them as far_q and far_k [B, S, G, d] show
 * them: the first S tokens of the sequence with the values far_v. One softmax over both. */
static inline tensor *near_and_far_attention(struct scope *s, struct projected near, int64_t window,
                                             tensor *far_q, tensor *far_k, tensor *far_v)
{
    int64_t length = near.q->shape[1], first = window - s->position; /* row that sees the first far token */
    first = first < 0 ? 0 : first;
    tensor *sums[2], *parts[2];
    struct attention_options options = {.causal = true, .window = window, .log_sum = &sums[0]};
    tensor *y = positioned_attention(s, near.q, near.k, near.v, options);
    int64_t rows = length - first;
    if (rows <= 0 || far_k->shape[1] == 0)
        return y;
    struct attention_options far = {
        .causal = true, .offset = s->position + first - window, .log_sum = &sums[1]};
    parts[0] = rows_of(y, first, rows);
    sums[0] = tensor_slice(sums[0], 2, first, rows);
    parts[1] = tensor_attention(rows_of(far_q, first, rows), far_k, far_v, &far);
    tensor *joined = tensor_join_attention(2, parts, sums);
    return first ? append_rows(rows_of(y, 0, first), joined) : joined;
}

#endif
