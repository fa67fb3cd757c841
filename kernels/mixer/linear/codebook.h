/* codebook.h: keys replaced by the nearest of a head's codewords (vq-transformer), which training moves by
 * averages and not by gradients. B entries, T tokens, H heads, C codewords, d channels. */
#ifndef CLADE_KERNELS_CODEBOOK_H
#define CLADE_KERNELS_CODEBOOK_H

#include "token-blocks.h"

/* The codewords [H, C, d], from their running sums and counts. */
static inline tensor *codebook(struct scope *s, int64_t width, double deviation)
{
    int64_t heads = option(s, "heads"), codes = option(s, "codes");
    tensor *sum = buffer(s, "c_sum", init_normal(deviation), 3, SHAPE(heads, codes, width));
    tensor *count = buffer(s, "c_count", init_constant(1), 2, SHAPE(heads, codes));
    count = tensor_reshape(tensor_clamp(count, 0.01, INFINITY), 3, SHAPE(heads, codes, 1));
    return tensor_stop_gradient(tensor_divide(sum, count));
}

/* Which codeword is nearest, [B, T, H, 1] for k [B, T, H, d]; of so many tokens at once. */
enum { COMPARED_TOKENS = 512 };
static inline tensor *nearest_code(tensor *k, tensor *codes)
{
    int64_t length = k->shape[1], early = length / 2;
    if (length > COMPARED_TOKENS) {
        tensor *first = nearest_code(tensor_slice(k, 1, 0, early), codes);
        tensor *rest = nearest_code(tensor_slice(k, 1, early, length - early), codes);
        return tensor_concat(2, (tensor *[]){first, rest}, 1);
    }
    tensor *half = tensor_scale(tensor_transpose(tensor_sum(tensor_square(codes), 2), 1, 2), 0.5);
    tensor *rows = tensor_transpose(tensor_stop_gradient(k), 1, 2);
    tensor *index = tensor_argmax(tensor_subtract(tensor_matmul_nt(rows, codes), half), 3);
    return tensor_transpose(index, 1, 2);
}

/* The codewords themselves, [B, T, H, d] for such an index. */
static inline tensor *codewords(tensor *index, tensor *codes)
{
    const int64_t *n = index->shape;
    int64_t heads = codes->shape[0], count = codes->shape[1], width = codes->shape[2];
    tensor *first = tensor_range(codes->graph, 0, heads, (double)count); /* of each head, all in one list */
    tensor *row = tensor_add(tensor_reshape(index, 3, SHAPE(n[0], n[1], heads)), first);
    return tensor_rows(tensor_reshape(codes, 2, SHAPE(heads * count, width)), row);
}

/* Sums by code of x [B, T, H, e] over what is older than each block's span: [B n, C, H, e]. */
static inline tensor *older_sums(struct scope *s, struct cut cut, tensor *x, tensor *index)
{
    x = tensor_scatter_add(older_tokens(cut, x), 2, older_tokens(cut, index), option(s, "codes"));
    tensor *sums = tensor_shift(tensor_cumulative_sum(x, 1), 1, 1);
    return tensor_reshape(sums, 4, SHAPE(x->shape[0] * cut.count, x->shape[2], x->shape[3], x->shape[4]));
}

#endif
