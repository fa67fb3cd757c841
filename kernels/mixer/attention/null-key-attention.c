/* Attention with a key and a value of nothing, and values mixed with the first layer's (the layers of rmt in
 * lucidrains/recurrent-memory-transformer-pytorch).
 *
 *     y = concat_h( softmax( q_h [n_k ; k_h]^T / sqrt(d) ) [n_v ; v_h] ) Wo,
 *         n = null_kv [2, H, d], seen by every row
 *     v = v + sigmoid(x Wm) (v_first - v)     a weight per head, with the values of the stack's first layer
 *
 * Under a memory that cuts segments the last `memory` rows of (n ; k) and (n ; v) are kept, without gradient,
 * for the next segment, in front of all others. `rotary` turns rows by the memory's places; there kept keys
 * have 9999 and on, the null key follows. */
#include "block/kernel.h"
#include <math.h>

static const double theta = 32768;

/* Turns rows by positions [rows], which need not be in order. */
static tensor *turn(tensor *x, tensor *positions)
{
    int64_t pairs = x->shape[3] / 2;
    tensor *frequencies =
        tensor_exp(tensor_scale(tensor_range(x->graph, 0, pairs, 1), -log(theta) / (double)pairs));
    return tensor_rotary(x, tensor_multiply(tensor_reshape(positions, 2, SHAPE(-1, 1)), frequencies), false);
}

static void turn_both(struct scope *s, tensor **q, tensor **k, int64_t kept)
{
    int64_t rows = (*q)->shape[1];
    tensor *places = layer_find(s, 0, "places"); /* 0 for rows of memory */
    if (!places)
        places = tensor_range(s->graph, 10000, (*k)->shape[1] - kept - 1, 1);
    else if (kept)
        places = tensor_add(places,
                            tensor_scale(tensor_greater(places, tensor_scalar(s->graph, 0)), (double)kept));
    tensor *before = tensor_range(s->graph, 9999, kept + 1, 1);
    *q = turn(*q, tensor_slice(places, 0, -rows, rows));
    *k = turn(*k, tensor_concat(2, (tensor *[]){before, places}, 0));
}

static tensor *with_null(tensor *null, int64_t place, tensor *rows)
{
    int64_t batch = rows->shape[0], heads = rows->shape[2], d = rows->shape[3];
    tensor *row = tensor_reshape(tensor_slice(null, 0, place, 1), 4, SHAPE(1, 1, heads, d));
    return tensor_concat(2, (tensor *[]){tensor_broadcast(row, 4, SHAPE(batch, 1, heads, d)), rows}, 1);
}

/* Puts what the segment before has kept in front of the rows, and keeps the newest of them. */
static tensor *kept_before(struct scope *s, const char *name, tensor *rows, int64_t limit)
{
    tensor *before = carried(s, name);
    carry(s, name, newest_rows(NULL, tensor_stop_gradient(rows), limit));
    return before ? tensor_concat(2, (tensor *[]){before, rows}, 1) : rows;
}

static tensor *mixed_values(struct scope *s, tensor *x, tensor *v)
{
    tensor *first = layer_find(s, 0, "first values");
    if (s->layer == 0)
        layer_leave(s, "first values", v);
    if (s->layer == 0 || !first)
        return v;
    int64_t batch = v->shape[0], rows = v->shape[1], heads = v->shape[2];
    tensor *mix = tensor_sigmoid(linear(s, "learned_value_residual_mix.0", x, heads, false));
    mix = tensor_reshape(mix, 4, SHAPE(batch, rows, heads, 1));
    return tensor_add(v, tensor_multiply(mix, tensor_subtract(first, v)));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = head_dim(s), inner = heads * d;
    tensor *q = split_heads(linear(s, "to_q", x, inner, false), heads);
    tensor *kv = linear(s, "to_kv", x, 2 * inner, false);
    tensor *k = split_heads(tensor_slice(kv, 2, 0, inner), heads);
    tensor *v = mixed_values(s, x, split_heads(tensor_slice(kv, 2, inner, inner), heads));
    tensor *null = parameter(s, "null_kv", init_normal(1), 3, SHAPE(2, heads, d));
    k = with_null(null, 0, cache_append(s, "key", k, 0));
    v = with_null(null, 1, cache_append(s, "value", v, 0));
    int64_t own = k->shape[1], limit = s->carried ? option(s, "memory") : 0;
    if (limit) {
        k = kept_before(s, "key", k, limit);
        v = kept_before(s, "value", v, limit);
    }
    if (option(s, "rotary"))
        turn_both(s, &q, &k, k->shape[1] - own);
    struct attention_options options = {.causal = !s->memory_mask, .offset = k->shape[1] - q->shape[1]};
    if (s->memory_mask)
        options.bias = tensor_pad(s->memory_mask, 3, options.offset, 0, 0);
    return linear(s, "to_out", merge_heads(tensor_attention(q, k, v, &options)), s->width, false);
}

static const char *validate(const struct scope *s)
{
    return option(s, "rotary") && head_dim(s) % 2 ? "rotary needs an even head_dim" : validate_heads(s);
}

KERNEL(null_key_attention) = {
    .name = "null-key-attention",
    .slot = SLOT_MIXER,
    .variant = "rmt",
    .summary = "attention that can also look at nothing, with values mixed with the first layer's",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "query heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       INTEGER_OPTION("memory", 0, 0, 1 << 24, "keys and values kept for the next segment"),
                       FLAG_OPTION("rotary", 0, "queries and keys are turned by their places")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
