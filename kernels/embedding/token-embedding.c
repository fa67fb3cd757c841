/* Token embeddings with a head that shares their table, and FixNorm (scalenorm, after Nguyen & Chiang 2018;
 * tnq177/transformers_without_tears, model.py). From the input "ids" [B, T]
 *
 *     w' = w / max(|w|, 1e-12) row by row
 *     x = sqrt(D) w'[id],   logits [B, T, V] = h w'^T for the stack's output h
 *
 * with word_embedding w [V, D]; without `unit_length` w' = w. Without ids the tokens come as embeddings x,
 * of which the same is made, and h is the output. */
#include "block/kernel.h"
#include <math.h>

static tensor *unit_rows(struct scope *s, tensor *rows)
{
    return option(s, "unit_length") ? tensor_l2_norm_max(rows, 1e-12) : rows;
}

static tensor *table(struct scope *s)
{
    const int64_t *shape = SHAPE(option(s, "vocabulary"), s->width);
    return unit_rows(s, parameter(s, "word_embedding", init_normal(1 / sqrt((double)s->width)), 2, shape));
}

static tensor *forward(struct scope *s, tensor *x)
{
    tensor *ids = further_input(s, "ids"), *rows = unit_rows(s, x);
    if (ids) {
        tensor *all = table(s);
        layer_leave(s, "head", all);
        rows = tensor_rows(all, ids);
    }
    return tensor_scale(rows, sqrt((double)s->width));
}

static tensor *logits(struct scope *s, tensor *h)
{
    tensor *head = layer_find(s, 0, "head");
    return head ? tensor_linear(h, head, NULL) : h;
}

KERNEL(token_embedding) = {
    .name = "token-embedding",
    .slot = SLOT_EMBEDDING,
    .variant = "scalenorm",
    .summary = "rows of a table for ids, of unit length if asked, which also give the logits",
    .options = OPTIONS(INTEGER_OPTION("vocabulary", 256, 2, 1 << 24, "ids"),
                       FLAG_OPTION("unit_length", 1, "rows are scaled to length 1")),
    .forward = forward,
    .step = forward,
    .output = logits,
};
