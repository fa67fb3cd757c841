/* Attention sinks (streaming-llm, section 3.2; mit-han-lab/streaming-llm kv_cache.py and
 * pos_shift/modify_llama.py).
 *
 * The cache holds the first `sinks` tokens and the last `recent` ones; positions are counted inside the
 * cache. A query at t with p entries before it turns by p, key j of the cache by j. So a recent key is seen
 * at its true distance and sink j at distance min(t, sinks + recent) - j.
 *
 * In one pass: queries carry two rotations side by side, (turned by t | turned by min(t, sinks + recent)),
 * recent keys (k | 0) and sinks (0 | k); scores of both kinds are then plain dot products under a window with
 * sinks. With `chunk` c > 1 tokens come c at a time and room is made before a chunk: the first `sinks` and
 * the last recent - c entries stay. */
#include "grouped-heads.h"
#include <math.h>
#include <string.h>

static tensor *turn(struct scope *s, tensor *x, bool is_key, int64_t start)
{
    struct scope *position = s->position_scope;
    if (!position || !position->kernel->rotate)
        return x;
    if (position->kernel->rotates_anew && position->kernel->rotates_anew(position))
        kernel_fail(s, "places in the cache cannot be turned by '%s', which looks at more than one place",
                    position->kernel->name);
    return position->kernel->rotate(position, x, is_key, start);
}

/* x [B, T, H, d] turned as if every token stood at one position. */
static tensor *turn_all(struct scope *s, tensor *x, int64_t position)
{
    tensor *flat = tensor_reshape(x, 4, SHAPE(x->shape[0] * x->shape[1], 1, x->shape[2], x->shape[3]));
    return tensor_reshape(turn(s, flat, false, position), 4, x->shape);
}

/* q turned by min(t, bound), t from s->position on. */
static tensor *turn_bounded(struct scope *s, tensor *q, int64_t bound)
{
    int64_t length = q->shape[1], before = bound - s->position;
    if (before >= length)
        return turn(s, q, false, s->position);
    if (before <= 0)
        return turn_all(s, q, bound);
    tensor *parts[] = {turn(s, tensor_slice(q, 1, 0, before), false, s->position),
                       turn_all(s, tensor_slice(q, 1, before, length - before), bound)};
    return tensor_concat(2, parts, 1);
}

static tensor *token_by_token(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t sinks = option(s, "sinks"), recent = option(s, "recent"), length = q->shape[1], d = q->shape[3];
    int64_t left = sinks - s->position, new_sinks = left < 0 ? 0 : left < length ? left : length;
    tensor *turned = turn(s, k, true, s->position);
    tensor *sink_keys = tensor_pad(tensor_slice(turned, 1, 0, new_sinks), 3, d, 0, 0);
    tensor *recent_keys = tensor_pad(tensor_slice(turned, 1, new_sinks, length - new_sinks), 3, 0, d, 0);
    tensor *keys[] = {cache_append(s, "sink_key", sink_keys, 0),
                      cache_append(s, "recent_key", recent_keys, recent)};
    tensor *values[] = {
        cache_append(s, "sink_value", tensor_slice(v, 1, 0, new_sinks), 0),
        cache_append(s, "recent_value", tensor_slice(v, 1, new_sinks, length - new_sinks), recent)};
    tensor *queries[] = {turn(s, q, false, s->position), turn_bounded(s, q, sinks + recent)};
    k = tensor_concat(2, keys, 1);
    struct attention_options options = {.scale = 1 / sqrt((double)d),
                                        .causal = true,
                                        .offset = k->shape[1] - length,
                                        .window = recent + 1,
                                        .sinks = sinks};
    return tensor_attention(tensor_concat(2, queries, 3), k, tensor_concat(2, values, 1), &options);
}

static tensor *chunk_by_chunk(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t sinks = option(s, "sinks"), recent = option(s, "recent"), chunk = option(s, "chunk"),
            length = q->shape[1];
    struct pieces outputs = {0};
    for (int64_t start = 0; start < length; start += chunk) {
        int64_t rows = length - start < chunk ? length - start : chunk;
        int64_t kept =
            start < sinks ? start : sinks; /* sinks before the chunk, then the oldest recent entry */
        int64_t first = start + rows > sinks + recent ? start - (recent - rows) : kept;
        first = first < kept ? kept : first;
        tensor *keys = tensor_slice(k, 1, first, start + rows - first),
               *values = tensor_slice(v, 1, first, start + rows - first);
        if (kept) {
            keys = tensor_concat(2, (tensor *[]){tensor_slice(k, 1, 0, kept), keys}, 1);
            values = tensor_concat(2, (tensor *[]){tensor_slice(v, 1, 0, kept), values}, 1);
        }
        int64_t offset = keys->shape[1] - rows;
        struct attention_options options = {.causal = true, .offset = offset};
        tensor *queries = turn(s, tensor_slice(q, 1, start, rows), false, offset);
        add_piece(&outputs, tensor_attention(queries, turn(s, keys, true, 0), values, &options));
    }
    return join_pieces(&outputs, 1);
}

static tensor *forward(struct scope *s, tensor *x)
{
    struct projected p = project_heads(s, x);
    return join_heads(s, (option(s, "chunk") > 1 ? chunk_by_chunk : token_by_token)(s, p.q, p.k, p.v));
}

static tensor *step(struct scope *s, tensor *x)
{
    return option(s, "chunk") > 1 ? replay_step(s, x) : forward(s, x);
}

static const char *validate(const struct scope *s)
{
    return option(s, "chunk") > option(s, "recent") ? "a chunk is longer than the recent cache"
                                                    : validate_heads(s);
}

static const char *character(const struct scope *s, const char *name)
{
    if (option(s, "chunk") == 1)
        return NULL;
    if (strcmp(name, "causality") == 0) /* a last chunk that is shorter makes less room */
        return "approximate";
    return strcmp(name, "decode-cost") == 0 ? "replay" : NULL;
}

KERNEL(attention_sinks) = {
    .name = "attention-sinks",
    .slot = SLOT_PROCEDURE,
    .variant = "streaming-llm",
    .summary = "a cache of the first and the latest tokens, with positions counted inside it",
    .options = OPTIONS(GROUPED_HEADS_OPTIONS, INTEGER_OPTION("sinks", 4, 0, 1 << 20, "first tokens kept"),
                       INTEGER_OPTION("recent", 256, 1, 1 << 24, "latest tokens kept"),
                       INTEGER_OPTION("chunk", 1, 1, 1 << 20, "tokens that arrive at once")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "window"}, {"state", "window-cache"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = step,
};
