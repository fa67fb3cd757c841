/* BigBird's block-sparse attention (bigbird, section 2 and appendix D; google-research/bigbird
 * bigbird_block_sparse_attention).
 *
 * Tokens stand in n blocks of `block` positions. Queries of block i have one softmax over the keys of
 *
 *     i = 0 and i = n - 1      all blocks
 *     else
 *         blocks 0 and n - 1, which are global, i - 1, i, i + 1, and r random ones, different for each head
 *
 * scores q . k / sqrt(d). A block that is both near and global counts once. Fewer than five blocks are seen
 * whole. The random blocks are drawn anew for every length, from the layer, the head and the block; a
 * published layer stores those for its one length (stored_blocks: rand_attn [H, n - 2, r]). */
#include "block/kernel.h"
#include "mixed-bits.h"

enum { FIXED = 5, FEWEST_BLOCKS = 5 };

/* The blocks that block `row` sees in every head, -1 standing for none. */
static void fixed_blocks(int64_t row, int64_t blocks, real *list)
{
    list[0] = 0;
    list[1] = (real)(blocks - 1);
    for (int64_t i = 0; i < 3; i++) {
        int64_t near = row - 1 + i;
        list[2 + i] = near == 0 || near == blocks - 1 ? -1 : (real)near;
    }
}

/* Draws `count` blocks apart from the first, the last and those next to the row. */
static void draw_blocks(uint64_t seed, int64_t row, int64_t blocks, int64_t count, real *list)
{
    int64_t first = row > 1 ? row - 1 : 1, last = row < blocks - 2 ? row + 1 : blocks - 2;
    int64_t free = blocks - 2 - (last - first + 1);
    for (int64_t i = 0; i < count; i++)
        list[i] = -1;
    for (int64_t i = 0; i < count && i < free;) {
        uint64_t draw = mixed_bits(seed += 0x9e3779b97f4a7c15u);
        int64_t block = 1 + (int64_t)(draw % (uint64_t)free);
        block += block >= first ? last - first + 1 : 0;
        bool again = false;
        for (int64_t j = 0; j < i; j++)
            again = again || (int64_t)list[j] == block;
        if (!again)
            list[i++] = (real)block;
    }
}

/* [1, H, n - 2, r] */
static tensor *random_blocks(struct scope *s, int64_t blocks)
{
    int64_t heads = option(s, "heads"), count = option(s, "random_blocks"), rows = blocks - 2;
    if (option(s, "stored_blocks"))
        return tensor_reshape(buffer(s, "rand_attn", init_constant(-1), 3, SHAPE(heads, rows, count)), 4,
                              SHAPE(1, heads, rows, count));
    tensor *lists = tensor_constant(s->graph, NULL, 4, SHAPE(1, heads, rows, count));
    for (int64_t i = 0; i < heads * rows; i++) {
        uint64_t seed =
            mixed_bits(((uint64_t)s->layer << 32) + (uint64_t)(i / rows)) + mixed_bits((uint64_t)(i % rows));
        draw_blocks(seed, 1 + i % rows, blocks, count, lists->data + i * count);
    }
    return lists;
}

static tensor *all_lists(struct scope *s, int64_t blocks)
{
    int64_t heads = option(s, "heads"), rows = blocks - 2;
    tensor *fixed = tensor_constant(s->graph, NULL, 4, SHAPE(1, heads, rows, FIXED));
    for (int64_t i = 0; i < heads * rows; i++)
        fixed_blocks(1 + i % rows, blocks, fixed->data + i * FIXED);
    if (option(s, "random_blocks") == 0)
        return fixed;
    return tensor_concat(2, (tensor *[]){fixed, random_blocks(s, blocks)}, 3);
}

static tensor *attend(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t size = option(s, "block"), length = q->shape[1], blocks = (length + size - 1) / size;
    const struct attention_options whole = {0};
    if (blocks < FEWEST_BLOCKS)
        return tensor_attention(q, k, v, &whole);
    int64_t last = (blocks - 1) * size;
    struct sparse_attention_options options = {.query_block = size, .key_block = size};
    tensor *parts[] = {
        tensor_attention(tensor_slice(q, 1, 0, size), k, v, &whole),
        tensor_sparse_attention(tensor_slice(q, 1, size, last - size), k, v, all_lists(s, blocks), &options),
        tensor_attention(tensor_slice(q, 1, last, length - last), k, v, &whole)};
    return tensor_concat(3, parts, 1);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads");
    tensor *q = split_heads(linear(s, "query", x, s->width, true), heads);
    tensor *k = split_heads(linear(s, "key", x, s->width, true), heads);
    tensor *v = split_heads(linear(s, "value", x, s->width, true), heads);
    tensor *y = merge_heads(attend(s, q, k, v));
    return option(s, "output") ? linear(s, "dense", y, s->width, true) : y;
}

KERNEL(random_block_attention) = {
    .name = "random-block-attention",
    .slot = SLOT_MIXER,
    .variant = "bigbird",
    .summary = "attention of blocks of tokens to neighbours, two global blocks and a few random ones",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("block", 64, 1, 1 << 16, "positions of a block"),
                       INTEGER_OPTION("random_blocks", 3, 0, 64, "random blocks that a block sees"),
                       FLAG_OPTION("stored_blocks", 0, "the random blocks are stored, for one length"),
                       FLAG_OPTION("output", 1, "a projection to the output follows")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "global"}, {"position", "none"}, {"time", "linear"},
                             {"causality", "bidirectional"}),
    .validate = validate_heads,
    .forward = forward,
};
