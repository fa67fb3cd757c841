/* The factorised patterns of the Sparse Transformer (sparse-transformer, sections 4.2 and 4.3;
 * openai/sparse_attention).
 *
 *     y = concat_h( softmax( q_h k_h^T / sqrt(d), over the s <= t that head h sees ) v_h ) Wo
 *
 *     local            t - s < l
 *     strided          t - s is a multiple of l
 *     local+strided    the first half of the heads local, the others strided: together they reach
 *                      everything in two steps
 *     fixed            the own segment of l positions, and the summary columns of earlier ones: with
 *                      positions in blocks, a segment's columns are cut from its end into groups of
 *                      `summary_blocks`; head h sees group h mod `summaries`
 *
 * Strided heads are full attention between the tokens of each residue class; fixed ones walk lists of blocks.
 * Cost is l + T / l for each token, least at l = sqrt(T); for a given l it ends as T^2 / l. */
#include "strides.h"
#include <string.h>

static bool is_local(const struct scope *s, int64_t head)
{
    if (option_is(s, "pattern", "local+strided"))
        return head < option(s, "heads") / 2;
    return option_is(s, "pattern", "local");
}

/* Queries of a step: each with the keys of its residue class. */
static tensor *step_strided(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t stride = option(s, "stride"), length = q->shape[1];
    struct pieces rows = {0};
    for (int64_t i = 0; i < length; i++) {
        int64_t t = s->position + i, first = t % stride, count = t / stride + 1;
        add_piece(&rows, tensor_attention(
                             tensor_slice(q, 1, i, 1), tensor_slice_step(k, 1, first, count, stride),
                             tensor_slice_step(v, 1, first, count, stride), &(struct attention_options){0}));
    }
    return join_pieces(&rows, 1);
}

static tensor *strided(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t stride = option(s, "stride"), length = q->shape[1];
    if (s->position)
        return step_strided(s, q, k, v);
    if (stride > length)
        stride = length;
    tensor *y = tensor_attention(strided_rows(q, stride), strided_rows(k, stride), strided_rows(v, stride),
                                 &(struct attention_options){.causal = true});
    return joined_strides(y, stride, length);
}

/* The blocks that a query of block `block` sees: its segment's up to its own, then the summary columns of
 * earlier segments. */
static void list_blocks(const struct scope *s, int64_t head, int64_t block, int64_t columns, real *list)
{
    int64_t count = option(s, "summary_blocks"), group = head % option(s, "summaries"),
            segment = block / columns;
    for (int64_t b = segment * columns; b <= block; b++)
        *list++ = (real)b;
    for (int64_t earlier = 0; earlier < segment; earlier++)
        for (int64_t i = 0; i < count; i++)
            *list++ = (real)(earlier * columns + columns - 1 - group * count - i);
}

static tensor *fixed(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t heads = q->shape[2], size = option(s, "block"), columns = option(s, "stride") / size;
    int64_t each = s->position ? 1 : size; /* steps do not begin where blocks do */
    int64_t rows = (q->shape[1] + each - 1) / each, newest = (s->position + (rows - 1) * each) / size;
    int64_t most = columns + newest / columns * option(s, "summary_blocks");
    tensor *lists = tensor_full(s->graph, -1, 4, SHAPE(1, heads, rows, most));
    for (int64_t i = 0; i < heads * rows; i++)
        list_blocks(s, i / rows, (s->position + i % rows * each) / size, columns, lists->data + i * most);
    struct sparse_attention_options options = {
        .query_block = each, .key_block = size, .causal = true, .offset = s->position};
    return tensor_sparse_attention(q, k, v, lists, &options);
}

static tensor *attend(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    if (option_is(s, "pattern", "fixed"))
        return fixed(s, q, k, v);
    int64_t heads = q->shape[2], local = 0;
    while (local < heads && is_local(s, local))
        local++;
    tensor *parts[2];
    int count = 0;
    if (local) {
        struct attention_options options = {
            .causal = true, .window = option(s, "stride"), .offset = k->shape[1] - q->shape[1]};
        parts[count++] = tensor_attention(tensor_slice(q, 2, 0, local), tensor_slice(k, 2, 0, local),
                                          tensor_slice(v, 2, 0, local), &options);
    }
    if (local < heads)
        parts[count++] =
            strided(s, tensor_slice(q, 2, local, heads - local), tensor_slice(k, 2, local, heads - local),
                    tensor_slice(v, 2, local, heads - local));
    return count == 2 ? tensor_concat(2, parts, 2) : parts[0];
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"),
            limit = option_is(s, "pattern", "local") ? option(s, "stride") - 1 : 0;
    tensor *q = split_heads(linear(s, "q", x, s->width, false), heads);
    tensor *k = split_heads(linear(s, "k", x, s->width, false), heads);
    tensor *v = split_heads(linear(s, "v", x, s->width, false), heads);
    rotate_query_and_key(s, &q, &k);
    if (s->state && !(option_is(s, "pattern", "local") && limit == 0)) {
        k = cache_append(s, "key", k, limit);
        v = cache_append(s, "value", v, limit);
    }
    return linear(s, "o", merge_heads(attend(s, q, k, v)), s->width, false);
}

static const char *character(const struct scope *s, const char *name)
{
    if (!option_is(s, "pattern", "local"))
        return NULL;
    static const char *const states[][2] = {
        {"visibility", "window"}, {"state", "window-cache"}, {"time", "linear"}, {"decode-cost", "constant"}};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (strcmp(name, states[i][0]) == 0)
            return states[i][1];
    return NULL;
}

static const char *validate(const struct scope *s)
{
    int64_t size = option(s, "block");
    if (option_is(s, "pattern", "fixed") && option(s, "stride") % size)
        return "the stride is not a whole number of blocks";
    if (option_is(s, "pattern", "fixed") &&
        option(s, "summaries") * option(s, "summary_blocks") > option(s, "stride") / size)
        return "a segment has fewer blocks than summaries * summary_blocks";
    return validate_heads(s);
}

KERNEL(strided_sparse_attention) = {
    .name = "strided-sparse-attention",
    .slot = SLOT_MIXER,
    .variant = "sparse-transformer",
    .summary = "causal attention factored into a local pattern and a strided or a summary pattern",
    .options = OPTIONS(
        INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
        CHOICE_OPTION("pattern", "local+strided|local|strided|fixed", "what a head sees"),
        INTEGER_OPTION("stride", 128, 1, 1 << 24, "positions of the window, stride or segment"),
        INTEGER_OPTION("block", 32, 1, 1 << 16, "fixed: positions of a block"),
        INTEGER_OPTION("summaries", 4, 1, 1024, "fixed: groups of columns, one for each head in turn"),
        INTEGER_OPTION("summary_blocks", 1, 1, 1024, "fixed: blocks of a group")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "strided"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
