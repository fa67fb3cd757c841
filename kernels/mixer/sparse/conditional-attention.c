/* CoLT5's conditional attention: a light local one for every token, a heavy one from chosen queries to chosen
 * keys (colt5, section 3; lucidrains/CoLT5-attention ConditionalRoutedAttention with one route of keys).
 *
 *     y_t = light(x)_t + (t chosen as a query ? score_t heavy(x)_t : null_q_token)
 *
 * light: softmax attention of LN(x) to the query's block of `window` tokens and the blocks on either side.
 * heavy: of the chosen rows, normalised, to the chosen keys and one trained key (null_kv), values times their
 * keys' scores; `rotary` turns both by their places in the sequence. The choices: conditional.h, one for
 * queries and one for keys. Keys after the end are not seen. */
#include "../../ffn/conditional.h"

static tensor *light(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "light_heads"),
            inner = heads * option_or(s, "light_head_dim", s->width / heads);
    x = layer_norm(s, "light_attn.norm", x, 1e-5);
    tensor *qkv = linear(s, "light_attn.to_qkv", x, 3 * inner, false), *parts[3];
    for (int i = 0; i < 3; i++)
        parts[i] = split_heads(tensor_slice(qkv, 2, i * inner, inner), heads);
    struct attention_options options = {.block = option(s, "window"), .look_backward = 1, .look_forward = 1};
    tensor *y = tensor_attention(parts[0], parts[1], parts[2], &options);
    return linear(s, "light_attn.to_out", merge_heads(y), s->width, false);
}

/* x [B, K, H, d] turned by places [B, K, 1], or by 0, 1, .. */
static tensor *turn(struct scope *s, tensor *x, tensor *places)
{
    int64_t batch = x->shape[0], rows = x->shape[1], heads = x->shape[2], d = x->shape[3], pairs = d / 2;
    if (!places)
        return tensor_rotary(x, rotary_angles(s, 0, rows, pairs, 10000), false);
    tensor *frequencies =
        tensor_exp(tensor_scale(tensor_range(s->graph, 0, pairs, 1), -log(10000) / (double)pairs));
    tensor *angles = tensor_multiply(tensor_reshape(places, 2, SHAPE(batch * rows, 1)), frequencies);
    x = tensor_rotary(tensor_reshape(x, 4, SHAPE(1, batch * rows, heads, d)), angles, false);
    return tensor_reshape(x, 4, SHAPE(batch, rows, heads, d));
}

/* x [B, K, H, d] times the scores of its rows, where there are any. */
static tensor *scored(tensor *x, tensor *scores)
{
    return scores ? tensor_multiply(x, tensor_reshape(scores, 4, SHAPE(x->shape[0], x->shape[1], 1, 1))) : x;
}

static tensor *with_null(struct scope *s, tensor *null, int64_t which, tensor *rows)
{
    int64_t heads = rows->shape[2], d = rows->shape[3];
    tensor *row = tensor_reshape(tensor_slice(null, 0, which, 1), 4, SHAPE(1, 1, heads, d));
    row = tensor_broadcast(row, 4, SHAPE(rows->shape[0], 1, heads, d));
    return newest_rows(row, rows, INT64_MAX);
}

static tensor *heavy(struct scope *s, struct choice queries, struct choice keys)
{
    int64_t heads = option(s, "heads"), d = head_dim(s);
    tensor *null = parameter(s, "heavy_attn.null_kv", init_normal(1), 3, SHAPE(2, heads, d));
    tensor *x = unit_norm(s, "heavy_attn.norm", queries.tokens);
    tensor *q = split_heads(linear(s, "heavy_attn.to_q", x, heads * d, false), heads);
    x = unit_norm(s, "heavy_attn.norm", keys.tokens);
    tensor *kv = split_heads(linear(s, "heavy_attn.to_kv", x, 2 * heads * d, false), heads);
    tensor *k = tensor_slice(kv, 3, 0, d), *v = scored(tensor_slice(kv, 3, d, d), keys.scores);
    if (option(s, "score_queries"))
        q = scored(q, queries.scores);
    if (option(s, "score_keys"))
        k = scored(k, keys.scores);
    if (option(s, "rotary")) {
        q = turn(s, q, queries.places);
        k = turn(s, k, keys.places);
    }
    struct attention_options options = {0};
    tensor *y = tensor_attention(q, with_null(s, null, 0, k), with_null(s, null, 1, v), &options);
    return linear(s, "heavy_attn.to_out", merge_heads(y), s->width, false);
}

static tensor *forward(struct scope *s, tensor *x)
{
    struct choice queries = choose(s, "q_router", x, option(s, "heavy_queries"));
    struct choice keys = choose(s, "kv_router", x, option(s, "heavy_keys"));
    tensor *null = parameter(s, "null_q_token", init_normal(1), 1, SHAPE(s->width));
    tensor *y = heavy(s, queries, keys);
    if (queries.places) {
        y = tensor_subtract(tensor_multiply(y, queries.scores), null);
        y = tensor_add(tensor_scatter_add(y, 1, queries.places, x->shape[1]), null);
    }
    return tensor_add(light(s, x), y);
}

static const char *character(const struct scope *s, const char *name)
{
    return name[0] == 'p' && option(s, "rotary") ? "rotary" : NULL;
}

static const char *validate(const struct scope *s)
{
    if (validate_heads(s))
        return validate_heads(s);
    if (!option(s, "light_head_dim") && s->width % option(s, "light_heads"))
        return "the width is not divisible by light_heads: set light_head_dim";
    return option(s, "rotary") && head_dim(s) % 2 ? "rotary needs an even head_dim" : NULL;
}

KERNEL(conditional_attention) = {
    .name = "conditional-attention",
    .slot = SLOT_MIXER,
    .variant = "colt5",
    .summary = "light local attention for every token and heavy attention between those that routers choose",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads of the heavy attention"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of such a head; 0: width / heads"),
                       INTEGER_OPTION("heavy_queries", 16, 1, 1 << 24, "tokens that it takes as queries"),
                       INTEGER_OPTION("heavy_keys", 32, 1, 1 << 24, "and as keys"),
                       INTEGER_OPTION("light_heads", 4, 1, 1024, "heads of the light attention"),
                       INTEGER_OPTION("light_head_dim", 0, 0, 4096, "channels; 0: width / light_heads"),
                       INTEGER_OPTION("window", 64, 1, 1 << 24, "tokens of its blocks"),
                       FLAG_OPTION("score_queries", 0, "queries are multiplied by their scores"),
                       FLAG_OPTION("score_keys", 0, "keys are multiplied by their scores"),
                       FLAG_OPTION("rotary", 0, "the heavy attention turns queries and keys"),
                       ROUTER_OPTIONS),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "content"}, {"position", "none"}, {"state", "cache"},
                             {"time", "linear"}, {"decode-cost", "replay"}, {"causality", "bidirectional"}),
    .character = character,
    .validate = validate,
    .forward = forward,
};
