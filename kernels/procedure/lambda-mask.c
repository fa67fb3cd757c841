/* The lambda-shaped mask with a cap on distances (lm-infinite, section 4; Glaciohound/LM-Infinite
 * models/llama.py and lambda_attention.py, with use_lambda_mask and without top_k_attention).
 *
 * Query t sees key j where t - j < window, at its true place, and the first `sinks` tokens that are further
 * away, as if they were all `limit` tokens away: these keys stay unturned, and the query turns by min(limit,
 * T - 1), T being the number of tokens. One softmax. Only a limit beyond the window lets T matter. */
#include "grouped-heads.h"
#include <string.h>

static tensor *forward(struct scope *s, tensor *x)
{
    struct projected p = project_heads(s, x);
    int64_t length = x->shape[1], left = option(s, "sinks") - s->position;
    int64_t sinks = left < 0 ? 0 : left < length ? left : length, limit = option(s, "limit");
    tensor *far_k = rows_of(p.k, 0, sinks), *far_v = rows_of(p.v, 0, sinks), *far_q = p.q;
    if (limit < 0)
        rotate_query_and_key(s, &far_q, &far_k);
    else
        far_q = rotate_to_place(s, p.q,
                                (double)(limit < s->position + length ? limit : s->position + length - 1));
    far_k = cache_append(s, "far_key", far_k, 0);
    far_v = cache_append(s, "far_value", far_v, 0);
    return join_heads(s, near_and_far_attention(s, p, option(s, "window"), far_q, far_k, far_v));
}

static const char *character(const struct scope *s, const char *name)
{
    return strcmp(name, "causality") == 0 && option(s, "limit") > option(s, "window") ? "approximate" : NULL;
}

KERNEL(lambda_mask) = {
    .name = "lambda-mask",
    .slot = SLOT_PROCEDURE,
    .variant = "lm-infinite",
    .summary = "a window of the latest tokens beside the first ones, which all seem equally far",
    .options = OPTIONS(GROUPED_HEADS_OPTIONS, INTEGER_OPTION("window", 256, 1, 1 << 24, "latest tokens seen"),
                       INTEGER_OPTION("sinks", 4, 0, 1 << 20, "first tokens seen"),
                       INTEGER_OPTION("limit", 256, -1, 1 << 24,
                                      "distance at which they seem to be; -1: the true one")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "window"}, {"state", "window-cache"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .character = character,
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
