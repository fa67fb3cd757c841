/* masked-rows.h: rows of a sequence that others stand in for, and what predicts their tokens. */
#ifndef CLADE_KERNELS_MASKED_ROWS_H
#define CLADE_KERNELS_MASKED_ROWS_H

#include "block/kernel.h"

/* The rows of x [B, T, D] at positions [B, N]: [B, N, D]. */
static inline tensor *rows_at(tensor *x, tensor *positions)
{
    return tensor_gather(x, 1,
                         tensor_reshape(positions, 3, SHAPE(positions->shape[0], positions->shape[1], 1)));
}

/* x with `rows` [B, N, D] at positions that differ. */
static inline tensor *with_rows_at(tensor *x, tensor *positions, tensor *rows)
{
    int64_t batch = positions->shape[0], count = positions->shape[1], length = x->shape[1];
    tensor *index = tensor_reshape(positions, 3, SHAPE(batch, count, 1));
    tensor *ones = tensor_full(x->graph, 1, 3, SHAPE(batch, count, 1));
    tensor *replaced = tensor_scatter_add(ones, 1, index, length);
    return tensor_where(replaced, tensor_scatter_add(rows, 1, index, length), x);
}

/* What is compared with the words' embeddings, [.., D]: a layer norm of act(W x + b). */
static inline tensor *token_features(struct scope *s, const char *name, tensor *x, int64_t width)
{
    tensor *h = linear(s, part_name(s, "%s.dense", name), x, width, true);
    h = tensor_activation(h, option_choice(s, "activation"));
    return layer_norm(s, part_name(s, "%s.LayerNorm", name), h, option_real(s, "epsilon"));
}

#define TOKEN_FEATURE_OPTIONS                                                               \
    CHOICE_OPTION("activation", "gelu_tanh|gelu|relu|tanh", "in front of the predictions"), \
        REAL_OPTION("epsilon", 1e-12, 0, 1, "of the layer norm there")

/* [B, N] */
static inline void check_positions(const struct scope *s, const tensor *positions)
{
    if (positions->rank != 2)
        kernel_fail(s, "positions are [B, N], those of the masked tokens");
}

#endif
