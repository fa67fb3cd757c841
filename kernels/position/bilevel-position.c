/* BiPE (bipe, section 3; zhenyuhe00/BiPE get_bilevel_ids and both its LlamaAttention): positions have two
 * levels. Separator tokens end segments; token t is the n_t-th of its segment, which is the m_t-th of the
 * sequence, both from 0:
 *
 *     x_t -> x_t + E[min(n_t, places - 1)]    E = embeds.0.weight [places, D]
 *     upper rotary: q_t and k_t turn by m_t w_i, w_i = theta^(-2i / r)
 *     upper alibi: scores lose 96 slope_h (m_t - m_s) with alibi's slopes
 *     log_scale: q_t is multiplied by ln(m_t + 1) / ln(places)
 *
 * The token ids are the further input `ids` [B, T], those of the new tokens in a step. Without them segments
 * have `segment` tokens. */
#include "rotary.h"
#include <string.h>

struct place {
    tensor *segment, *inside; /* m and n, [B or 1, T] */
};

/* Of tokens from `start` on where all segments are equally long. */
static struct place regular_places(struct scope *s, int64_t start, int64_t length)
{
    int64_t size = option(s, "segment");
    tensor *segment = tensor_constant(s->graph, NULL, 2, SHAPE(1, length));
    tensor *inside = tensor_constant(s->graph, NULL, 2, SHAPE(1, length));
    for (int64_t t = 0; t < length; t++) {
        segment->data[t] = (real)((start + t) / size);
        inside->data[t] = (real)((start + t) % size);
    }
    return (struct place){segment, inside};
}

/* 1 for separators: [B, T]. */
static tensor *segment_ends(struct scope *s, tensor *ids)
{
    int count;
    const double *separators = option_list(s, "separators", &count);
    tensor *ends = tensor_constant(s->graph, NULL, 2, SHAPE(1, 1));
    for (int i = 0; i < count; i++)
        ends = tensor_maximum(ends, tensor_equal(ids, tensor_scalar(s->graph, separators[i])));
    return tensor_broadcast(ends, 2, ids->shape);
}

/* What a token finds of an earlier one: (first, x_0, .., x_{T-2}). */
static tensor *one_later(tensor *first, tensor *x)
{
    int64_t length = x->shape[1];
    return length == 1 ? first : tensor_concat(2, (tensor *[]){first, tensor_slice(x, 1, 0, length - 1)}, 1);
}

static struct place places_of(struct scope *s, tensor *ids)
{
    int64_t batch = ids->shape[0], length = ids->shape[1];
    const int64_t *shape = SHAPE(batch, 1);
    tensor *count = s->state ? state(s, "segments", 0, 2, shape) : tensor_full(s->graph, 0, 2, shape);
    tensor *first = s->state ? state(s, "first", 0, 2, shape) : tensor_full(s->graph, 0, 2, shape);
    tensor *ends = segment_ends(s, ids), *t = tensor_range(s->graph, s->position, length, 1);
    tensor *ended = tensor_add(count, tensor_cumulative_sum(ends, 1));
    tensor *next = tensor_multiply(ends, tensor_affine(t, 1, 1)); /* where the next segment begins */
    next = tensor_maximum(first, tensor_cumulative_max(next, 1));
    if (s->state) {
        state_set(s, "segments", tensor_slice(ended, 1, -1, 1));
        state_set(s, "first", tensor_slice(next, 1, -1, 1));
    }
    return (struct place){one_later(count, ended), tensor_subtract(t, one_later(first, next))};
}

static tensor *embed(struct scope *s, tensor *x)
{
    int64_t places = option(s, "places");
    tensor *ids = further_input(s, "ids");
    if (ids && (ids->rank != 2 || ids->shape[0] != x->shape[0] || ids->shape[1] != x->shape[1]))
        kernel_fail(s, "the input ids is not [B, T] as the tokens are");
    struct place place = ids ? places_of(s, ids) : regular_places(s, s->position, x->shape[1]);
    if (ids)
        layer_leave(s, "segment of each token", place.segment);
    tensor *table = parameter(s, "embeds.0.weight", init_normal(0.02), 2, SHAPE(places, s->width));
    return tensor_add(x, tensor_rows(table, tensor_clamp(place.inside, 0, (double)places - 1)));
}

/* m of tokens from `start` on: [B or 1, T]. */
static tensor *segments(struct scope *s, int64_t start, int64_t length)
{
    tensor *found = layer_find(s, 0, "segment of each token");
    if (found && found->shape[1] != length)
        kernel_fail(s, "ids are known of the new tokens only, which the mixer takes with earlier ones");
    return found ? found : regular_places(s, start, length).segment;
}

/* x [B, T, H, d] turned by the tokens' segments [B or 1, T]: entries of the batch stand in one row, each with
 * angles of its own. */
static tensor *turn_by_segment(struct scope *s, tensor *x, tensor *segment)
{
    int64_t rows = tensor_size(segment), pairs = rotary_channels(s, x->shape[3]) / 2;
    struct rotation rotation = {s, 2 * pairs, 0};
    tensor *w = tensor_constant(s->graph, NULL, 2, SHAPE(1, pairs));
    for (int64_t i = 0; i < pairs; i++)
        w->data[i] = (real)plain_frequency(&rotation, i);
    tensor *angles = tensor_multiply(tensor_reshape(segment, 2, SHAPE(rows, 1)), w);
    tensor *joined = tensor_reshape(x, 4, SHAPE(-1, rows, x->shape[2], x->shape[3]));
    return tensor_reshape(tensor_rotary(joined, angles, option(s, "interleaved")), 4, x->shape);
}

static tensor *rotate(struct scope *s, tensor *x, bool is_key, int64_t start)
{
    tensor *segment = segments(s, start, x->shape[1]);
    if (!is_key && option(s, "log_scale")) {
        tensor *scale = tensor_scale(tensor_log1p(segment), 1 / log((double)option(s, "places")));
        scale = tensor_reshape(scale, 4, SHAPE(segment->shape[0], segment->shape[1], 1, 1));
        x = tensor_multiply(x, scale);
    }
    return option_is(s, "upper", "rotary") ? turn_by_segment(s, x, segment) : x;
}

static struct score_bias bias(struct scope *s, tensor *q, tensor *k, int64_t offset)
{
    if (!option_is(s, "upper", "alibi"))
        return (struct score_bias){NULL, NULL};
    int64_t heads = q->shape[2], columns = k->shape[1];
    tensor *segment = layer_find(s, 0, "segment of each token");
    if (segment) {
        segment = tensor_reshape(segments(s, s->position, q->shape[1]), 3, SHAPE(q->shape[0], -1, 1));
        segment = tensor_slice(cache_append(s, "segment", segment, 0), 1, -columns, columns);
    } else {
        segment = regular_places(s, s->position - offset, columns).segment;
    }
    segment = tensor_reshape(segment, 4, SHAPE(-1, 1, 1, columns));
    tensor *behind = tensor_subtract(segment, tensor_slice(segment, 3, -1, 1)); /* the newest, at most 0 */
    tensor *slopes = tensor_constant(s->graph, NULL, 3, SHAPE(heads, 1, 1));
    for (int64_t h = 0; h < heads; h++)
        slopes->data[h] = (real)(96 * alibi_slope(h, heads));
    return (struct score_bias){.full = tensor_multiply(behind, slopes)};
}

static const char *character(const struct scope *s, const char *name)
{
    return strcmp(name, "position") == 0 && option_is(s, "upper", "alibi") ? "bias" : NULL;
}

KERNEL(bilevel_position) = {
    .name = "bilevel-position",
    .slot = SLOT_POSITION,
    .variant = "bipe",
    .summary = "a trained vector for the place in the segment, rotation or bias by the number of the segment",
    .options =
        OPTIONS(ROTARY_OPTIONS(0), CHOICE_OPTION("upper", "rotary|alibi", "how the segment's number enters"),
                INTEGER_OPTION("places", 1024, 2, 1 << 24,
                               "in a segment that have a vector; later ones share the last"),
                LIST_OPTION("separators", "", 0, 1e9, "ids of tokens that end a segment"),
                INTEGER_OPTION("segment", 32, 1, 1 << 24, "tokens of a segment where no ids are given"),
                FLAG_OPTION("log_scale", 0, "queries grow with the logarithm of the segment's number")),
    .characters = CHARACTERS({"position", "rotary"}),
    .character = character,
    .embed = embed,
    .rotate = rotate,
    .bias = bias,
};
