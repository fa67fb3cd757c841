/* BlockBERT's blockwise attention (blockbert, section 3, eq. 2 and 3).
 *
 * The sequence is cut into n blocks of ceil(T / n) tokens. In a head of shift r block i of the queries sees
 * one block of keys,
 *
 *     Y_i = softmax(Q_i K_j^T / sqrt(d)) V_j,   j = (i + r) mod n
 *
 * which are the powers of the permutation (2, 3, .., n, 1) that the paper takes; r = 0 is the block itself.
 * heads_by_shift says how many heads, from the first on, have r = 0, 1, ..; the paper has 10,2 and 8,2,2 for
 * 12 heads. Without it head h has r = h mod n. The last block may be shorter, and fewer blocks than n hold
 * tokens where T is small: then the permutation is one of these. */
#include "block/kernel.h"

static int64_t shift_of(const struct scope *s, int64_t head)
{
    int count;
    const double *heads = option_list(s, "heads_by_shift", &count);
    if (!count)
        return head % option(s, "blocks");
    int64_t shift = 0;
    for (double end = heads[0]; (double)head >= end; end += heads[shift])
        shift++;
    return shift;
}

/* The block of keys of each head and block of queries: [1, H, blocks, 1]. */
static tensor *permuted_blocks(struct scope *s, int64_t blocks)
{
    int64_t heads = option(s, "heads");
    tensor *lists = tensor_constant(s->graph, NULL, 4, SHAPE(1, heads, blocks, 1));
    for (int64_t h = 0; h < heads; h++)
        for (int64_t i = 0; i < blocks; i++)
            lists->data[h * blocks + i] = (real)((i + shift_of(s, h)) % blocks);
    return lists;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), length = x->shape[1], n = option(s, "blocks");
    int64_t size = (length + n - 1) / n;
    tensor *q = split_heads(linear(s, "query", x, s->width, true), heads);
    tensor *k = split_heads(linear(s, "key", x, s->width, true), heads);
    tensor *v = split_heads(linear(s, "value", x, s->width, true), heads);
    struct sparse_attention_options options = {.query_block = size, .key_block = size};
    tensor *lists = permuted_blocks(s, (length + size - 1) / size);
    tensor *y = tensor_sparse_attention(q, k, v, lists, &options);
    return linear(s, "dense", merge_heads(y), s->width, true);
}

static const char *validate(const struct scope *s)
{
    int count;
    const double *heads = option_list(s, "heads_by_shift", &count);
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += heads[i];
    if (count && (count != option(s, "blocks") || sum != (double)option(s, "heads")))
        return "heads_by_shift is not a number for each of the blocks that sum to heads";
    return validate_heads(s);
}

KERNEL(block_permutation_attention) = {
    .name = "block-permutation-attention",
    .slot = SLOT_MIXER,
    .variant = "blockbert",
    .summary = "each head attends from a block of the sequence to the one that its permutation gives",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("blocks", 2, 1, 128, "blocks of a sequence, n"),
                       LIST_OPTION("heads_by_shift", "", 0, 1024, "heads that look 0, 1, .. blocks ahead")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "block"}, {"position", "none"}, {"time", "quadratic"},
                             {"causality", "bidirectional"}),
    .validate = validate,
    .forward = forward,
};
