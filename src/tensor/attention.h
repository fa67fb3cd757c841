/* attention.h: what the files of tensor_attention share: its sizes, which keys a query sees, rows of scores,
 * and packed keys. Forward passes are in attention_forward.c (many queries) and attention_decode.c (few), the
 * constructor and what follows here in attention.c, the gradients in attention_backward.c. */
#ifndef CLADE_TENSOR_ATTENTION_H
#define CLADE_TENSOR_ATTENTION_H

#include "tensor/operation.h"

enum {
    QUERY_TILE = 64,
    PANEL_MAX = 128,    /* keys in a panel, at most */
    DECODE_QUERIES = 12 /* up to so many queries a walk over the keys is faster than products of tiles */
};

/* The attributes of the node. Its inputs are q, k, v and then the optional tensors. */
struct attention {
    int64_t batch, queries, keys, heads, key_heads, width, value_width;
    struct attention_options options;     /* scale resolved; its tensors are read through the numbers below */
    int bias, distance_bias, sink_logits; /* which inputs they are; 0: absent */
    int64_t panel;                        /* keys are taken in panels of this many, from key 0 on */
};

/* The keys that a query, or any of several successive queries, sees: [0, sinks) and [first, last), sinks <=
 * first. */
struct seen_keys {
    int64_t sinks, first, last;
};
struct seen_keys seen_keys(const struct attention *a, int64_t query, int64_t count);

static inline int64_t smaller(int64_t x, int64_t y)
{
    return x < y ? x : y;
}

static inline int64_t larger(int64_t x, int64_t y)
{
    return x > y ? x : y;
}

static inline int64_t panel_count(const struct attention *a)
{
    return (a->keys + a->panel - 1) / a->panel;
}

/* The part of x that belongs to an entry of the batch, a position and a head, for x or its gradient. */
static inline real *head_rows(const tensor *x, real *data, int64_t b, int64_t position, int64_t head)
{
    return data + b * x->stride[0] + position * x->stride[1] + head * x->stride[2];
}

/* Where the distances' biases of a query begin, in the bias or its gradient. */
static inline int64_t distance_row(const tensor *bias, int64_t b, int64_t head, int64_t query)
{
    if (bias->rank == 2)
        return bias->shape[0] == 1 ? 0 : head * bias->stride[0];
    return b * bias->stride[0] + head * bias->stride[1] + query * bias->stride[2];
}

/* The step between rows as BLAS wants it: at least their length, also where there is one row with any stride.
 */
static inline int64_t row_step(const tensor *x)
{
    return larger(x->stride[1], x->shape[3]);
}

/* Turns the products of one query with the keys [key, key + n), already scaled, into scores: caps them, adds
 * the biases and sets those of unseen keys between seen ones to -infinity. Seen are at most the entries
 * [*begin, *end); the others are left alone. `slope`, if not NULL, receives the derivatives of the capped
 * scores. */
void finish_scores(const tensor *y, int64_t b, int64_t head, int64_t query, int64_t key, int64_t n,
                   real *scores, real *slope, int64_t *begin, int64_t *end);

/* Transposes k (or v) so that products with it are fast: for each entry of the batch and key head, and each
 * panel, [width, panel]. Only panels that a query sees are filled. From scratch_take(). */
real *pack_panels(const tensor *y, const tensor *x);
static inline const real *packed_panel(const struct attention *a, const real *packed, int64_t width,
                                       int64_t b, int64_t key_head, int64_t panel)
{
    return packed + ((b * a->key_heads + key_head) * panel_count(a) + panel) * width * a->panel;
}

/* Gives the node of an attention y [B, T, H, d] its second output, the log sums of its rows, if backward or
 * the caller wants them; log_sum as attention_options'. */
void add_log_sums(tensor *y, tensor **log_sum);

/* Multiply-adds that a pass over all seen pairs takes, with `width` for each pair. */
double attention_work(const struct attention *a, int64_t width);

/* y and, where there is a second output, log sum exp of each row of scores [B, H, T]; +infinity where the row
 * is empty. */
void attention_forward(tensor *y);
void attention_decode(tensor *y);
/* What all attentions do with `count` scores of a row: makes them weights relative to the largest so far and brings
 * the row's sums so far, `width` numbers and their total, to the same scale. */
void weigh_scores(int64_t count, real *scores, int64_t width, real *sums, real *largest, real *total);
/* Writes the row of y [B, T, H, width], shrink sum / total or 0 where nothing was seen, and that of its second output. */
void write_row(tensor *y, int64_t b, int64_t head, int64_t query, const real *sum, real shrink, real largest,
               real total);
/* The same from sums over keys, taking in the sink logit. */
void finish_row(tensor *y, int64_t b, int64_t head, int64_t query, const real *sum, real largest, real total);
void attention_backward(tensor *y);

#endif
