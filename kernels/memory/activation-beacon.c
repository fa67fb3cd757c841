/* Activation beacons (activation-beacon, section 2; FlagOpen/FlagEmbedding modeling_beacon.py Memory): rows
 * of one trained vector between or behind the tokens of a window, whose keys and values are all that later
 * windows see of it, in every layer.
 *
 * One beacon stands for `ratio` tokens. interleave: it follows them, under a plain causal order. append: the
 * beacons follow the window, if it is full; they see it whole, or by step-expansion beacon j only the tokens
 * before (j + 1) ratio, from a place beside the last of them. Without attend_previous such beacons do not see
 * each other. Here beacons stand behind the tokens in any case, with the order in their places and in the
 * mask. The mixer is beacon-attention. */
#include "block/kernel.h"
#include <math.h>

struct rows {
    int64_t tokens, beacons, ratio;
    bool interleaved, expands, previous;
};

/* Place in the window of a row; beacons come after the tokens. */
static int64_t place(const struct rows *r, int64_t row)
{
    int64_t beacon = row - r->tokens, end = (beacon + 1) * r->ratio;
    if (beacon < 0)
        return r->interleaved ? row + row / r->ratio : row;
    if (r->interleaved)
        return end + beacon;
    return r->expands ? end - 1 + (r->previous ? beacon + 1 : 1) : row;
}

static bool sees(const struct rows *r, int64_t row, int64_t key)
{
    int64_t beacon = row - r->tokens, other = key - r->tokens;
    if (r->interleaved || !r->expands || beacon < 0)
        return r->interleaved ? place(r, key) <= place(r, row) : key <= row;
    if (other < 0)
        return key < (beacon + 1) * r->ratio;
    return r->previous ? other <= beacon : other == beacon;
}

static void leave_order(struct scope *s, const struct rows *r)
{
    int64_t count = r->tokens + r->beacons;
    tensor *places = tensor_constant(s->graph, NULL, 1, SHAPE(count));
    tensor *mask = tensor_constant(s->graph, NULL, 4, SHAPE(1, 1, count, count));
    for (int64_t i = 0; i < count; i++) {
        places->data[i] = (real)place(r, i);
        for (int64_t j = 0; j < count; j++)
            mask->data[i * count + j] = sees(r, i, j) ? 0 : -(real)INFINITY;
    }
    layer_leave(s, "places", places);
    layer_leave(s, "tokens", tensor_slice(places, 0, 0, r->tokens));
    s->memory_mask = mask;
}

static tensor *segment(struct scope *s, tensor *x)
{
    int64_t length = x->shape[1], window = option(s, "segment");
    struct rows r = {.tokens = length,
                     .ratio = option(s, "ratio"),
                     .interleaved = option_is(s, "place", "interleave"),
                     .expands = option_is(s, "sight", "step-expansion"),
                     .previous = option(s, "attend_previous")};
    r.beacons = r.interleaved || length == window ? length / r.ratio : 0;
    tensor *vector = parameter(s, "beacon_embed", init_normal(0.02), 2, SHAPE(1, s->width));
    if (r.beacons)
        x = tensor_concat(
            2, (tensor *[]){x, tensor_broadcast(vector, 3, SHAPE(x->shape[0], r.beacons, s->width))}, 1);
    leave_order(s, &r);
    for (int layer = 0; layer < s->layers; layer++)
        x = layer_forward(s, layer, x, NULL);
    return tensor_slice(x, 1, 0, length);
}

static tensor *forward(struct scope *s, tensor *x)
{
    return by_segments(s, x, option(s, "segment"), segment);
}

KERNEL(activation_beacon) = {
    .name = "activation-beacon",
    .slot = SLOT_MEMORY,
    .variant = "activation-beacon",
    .summary = "trained rows among the tokens whose keys and values stand for them in later windows",
    .options = OPTIONS(INTEGER_OPTION("segment", 128, 1, 1 << 20, "tokens of a window"),
                       INTEGER_OPTION("ratio", 8, 1, 1 << 20, "tokens for which a beacon stands"),
                       CHOICE_OPTION("place", "interleave|append",
                                     "of beacons: among the tokens or behind them"),
                       CHOICE_OPTION("sight", "full-coverage|step-expansion", "of appended beacons"),
                       FLAG_OPTION("attend_previous", 1, "under step-expansion they see those before")),
    .characters = CHARACTERS({"memory", "compressed"}, {"state", "compressed-cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .forward = forward,
    .step = forward,
};
