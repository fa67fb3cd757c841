/* Attentions over parts of the keys that are joined afterwards, again and again: each keeps its log sums. */
#ifndef CLADE_KERNELS_ATTENTION_PART_H
#define CLADE_KERNELS_ATTENTION_PART_H

#include "block/kernel.h"

/* An attention's rows [B, n, H, d] with the log sums of their exponentials [B, H, n]. */
struct part {
    tensor *rows, *log_sum;
};

static inline struct part attend(tensor *q, tensor *k, tensor *v, bool causal, tensor *bias)
{
    struct part part;
    struct attention_options options = {.causal = causal, .bias = bias, .log_sum = &part.log_sum};
    part.rows = tensor_attention(q, k, v, &options);
    return part;
}

static inline struct part joined(struct part a, struct part b)
{
    tensor *rows[] = {a.rows, b.rows}, *log_sums[] = {a.log_sum, b.log_sum}, *both[2];
    for (int i = 0; i < 2; i++)
        both[i] = tensor_reshape(
            log_sums[i], 4, SHAPE(log_sums[i]->shape[0], log_sums[i]->shape[1], log_sums[i]->shape[2], 1));
    tensor *log_sum = tensor_log_sum_exp(tensor_concat(2, both, 3), 3);
    return (struct part){tensor_join_attention(2, rows, log_sums),
                         tensor_reshape(log_sum, 3, a.log_sum->shape)};
}

#endif
