/* Decoupled positional attention (diet): position and segment leave the input and are added to the scores,
 * head by head,
 *
 *     absolute (DIET-ABS)   q_t . k_s / sqrt(d) + p_t . r_s + e(S_t, S_s)
 *         p, r = query_position, key_position [H, length, rank]
 *     relative (DIET-REL)   q_t . k_s / sqrt(d) + r(t - s) + e(S_t, S_s)
 *         r = relative_position [H, length], or [H, 2 length - 1] from the latest key on, where there are
 *         later keys
 *
 * e = segment [H, segments, segments] for the segments of the further input `segments` [B, T], those of the
 * new tokens in a step; without it all tokens are in one, which changes nothing. Relative distances of
 * `length` and more count as the largest. Layers have bias parameters of their own unless share_layers, heads
 * unless share_heads. */
#include "distance-vectors.h"

static tensor *position_parameter(struct scope *s, const char *name, int rank, const int64_t *shape)
{
    return (option(s, "share_layers") ? shared_parameter : parameter)(s, name, init_normal(0.02), rank,
                                                                      shape);
}

/* p_t . r_s: [H, T, S]. */
static tensor *absolute_bias(struct scope *s, int64_t heads, int64_t d, int64_t rows, int64_t columns)
{
    int64_t length = option(s, "length"), end = s->position + rows;
    if (end > length)
        kernel_fail(s, "position %lld is beyond the %lld learned ones (option length)", (long long)end - 1,
                    (long long)length);
    const int64_t *shape = SHAPE(heads, length, option_or(s, "rank", d));
    tensor *p = position_parameter(s, "query_position", 3, shape);
    tensor *r = position_parameter(s, "key_position", 3, shape);
    return tensor_matmul_nt(tensor_slice(p, 1, s->position, rows),
                            tensor_slice(r, 1, end - columns, columns));
}

/* r(t - s) with later keys: [H, T, S]. */
static tensor *signed_bias(struct scope *s, tensor *table, int64_t rows, int64_t columns)
{
    tensor *places = clipped_distances(s->graph, rows, columns, option(s, "length") - 1, false);
    places = tensor_reshape(places, 2, SHAPE(1, rows * columns));
    return tensor_reshape(tensor_gather(table, 1, places), 3, SHAPE(table->shape[0], rows, columns));
}

/* e(S_t, S_s), [B, H, T, S], or NULL. */
static tensor *segment_bias(struct scope *s, int64_t heads, tensor *q, tensor *k)
{
    int64_t count = option(s, "segments"), batch = q->shape[0], rows = q->shape[1], columns = k->shape[1];
    if (!count)
        return NULL;
    tensor *table = position_parameter(s, "segment", 3, SHAPE(heads, count, count));
    tensor *given = further_input(s, "segments");
    if (!given)
        return NULL;
    if (given->rank != 2 || given->shape[0] != batch || given->shape[1] != rows)
        kernel_fail(s, "the input segments is not [B, T] as the tokens are");
    tensor *all = cache_append(s, "segments", tensor_reshape(given, 3, SHAPE(batch, rows, 1)), 0);
    if (all->shape[1] != columns)
        kernel_fail(s, "segments are known of %lld tokens, and the mixer sees %lld", (long long)all->shape[1],
                    (long long)columns);
    tensor *of_key = tensor_one_hot(tensor_reshape(all, 3, SHAPE(batch, 1, columns)), count);
    tensor *of_query = tensor_slice(of_key, 2, columns - rows, rows);
    return tensor_matmul_nt(tensor_matmul(of_query, table), of_key);
}

static struct score_bias bias(struct scope *s, tensor *q, tensor *k, int64_t offset)
{
    (void)offset;
    int64_t heads = option(s, "share_heads") ? 1 : q->shape[2], length = option(s, "length");
    int64_t rows = q->shape[1], columns = k->shape[1];
    struct score_bias bias = {.full = segment_bias(s, heads, q, k)};
    tensor *of_position = NULL;
    if (option_is(s, "form", "absolute")) {
        of_position = absolute_bias(s, heads, q->shape[3], rows, columns);
    } else {
        bool causal = option(s, "causal");
        tensor *table =
            position_parameter(s, "relative_position", 2, SHAPE(heads, causal ? length : 2 * length - 1));
        if (causal)
            bias.distance = table;
        else
            of_position = signed_bias(s, table, rows, columns);
    }
    if (of_position)
        bias.full = bias.full ? tensor_add(bias.full, of_position) : of_position;
    return bias;
}

static const char *character(const struct scope *s, const char *name)
{
    return name[0] == 'p' && option_is(s, "form", "absolute") ? "absolute" : NULL;
}

KERNEL(decoupled_position_bias) = {
    .name = "decoupled-position-bias",
    .slot = SLOT_POSITION,
    .variant = "diet",
    .summary = "scores of positions, by thin tables or by distance, and of segments are added in every layer",
    .options = OPTIONS(
        CHOICE_OPTION("form", "absolute|relative", "of the position's scores"),
        INTEGER_OPTION("length", 1024, 1, 1 << 24, "positions, or distances, that are trained"),
        INTEGER_OPTION("rank", 0, 0, 4096, "of the tables of absolute positions; 0: channels of a head"),
        INTEGER_OPTION("segments", 0, 0, 4096, "kinds of segments; 0: none"),
        FLAG_OPTION("causal", 1, "there are no later keys"),
        FLAG_OPTION("share_layers", 0, "one bias for all layers"),
        FLAG_OPTION("share_heads", 0, "one bias for all heads")),
    .characters = CHARACTERS({"position", "relative"}),
    .character = character,
    .bias = bias,
};
