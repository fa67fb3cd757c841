/* Attention whose beacon rows have projections of their own (activation-beacon, section 2;
 * FlagOpen/FlagEmbedding modeling_llama.py LlamaAttention).
 *
 * Under the memory activation-beacon, keys and values of beacons are kept, not turned, for later windows,
 * behind those of the first `sinks` tokens of all. Places count through [memory ; rows of the window], anew
 * in every window. Projections with names beacon_q_proj .. are those of beacons, where they are asked for;
 * else a beacon has the tokens'. */
#include "block/kernel.h"
#include <math.h>

/* The first `tokens` rows by NAME, the others by beacon_NAME. */
static tensor *project(struct scope *s, const char *name, const char *letter, tensor *x, int64_t tokens,
                       int64_t outputs)
{
    int64_t beacons = x->shape[1] - tokens;
    bool own = option(s, part_name(s, "beacon_%s", letter));
    tensor *weight =
               parameter(s, part_name(s, "%s.weight", name), init_linear(), 2, SHAPE(outputs, x->shape[2])),
           *other = weight;
    if (own)
        other = parameter(s, part_name(s, "beacon_%s.weight", name), init_linear(), 2,
                          SHAPE(outputs, x->shape[2]));
    if (!own || beacons == 0)
        return tensor_linear(x, weight, NULL);
    tensor *parts[] = {tensor_linear(tensor_slice(x, 1, 0, tokens), weight, NULL),
                       tensor_linear(tensor_slice(x, 1, tokens, beacons), other, NULL)};
    return tensor_concat(2, parts, 1);
}

static tensor *turn(struct scope *s, tensor *x, tensor *places)
{
    int64_t pairs = x->shape[3] / 2;
    double step = -log(option_real(s, "theta")) / (double)pairs;
    tensor *frequencies = tensor_exp(tensor_scale(tensor_range(s->graph, 0, pairs, 1), step));
    tensor *angles = tensor_multiply(tensor_reshape(places, 2, SHAPE(-1, 1)), frequencies);
    return tensor_rotary(x, angles, false);
}

/* Memory in front of the rows; what the next window's memory is, is carried. */
static tensor *remember(struct scope *s, const char *name, tensor *rows, int64_t tokens)
{
    tensor *memory = carried(s, name), *next = memory;
    int64_t beacons = rows->shape[1] - tokens,
            sinks = option(s, "sinks") < tokens ? option(s, "sinks") : tokens;
    if (!memory && sinks)
        next = tensor_slice(rows, 1, 0, sinks);
    if (beacons)
        next = newest_rows(next, tensor_slice(rows, 1, tokens, beacons), INT64_MAX);
    if (next)
        carry(s, name, next);
    return memory ? tensor_concat(2, (tensor *[]){memory, rows}, 1) : rows;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), groups = key_value_heads(s), d = head_dim(s), rows = x->shape[1];
    tensor *places = layer_find(s, 0, "places");
    int64_t tokens = places ? layer_find(s, 0, "tokens")->shape[0] : rows;
    tensor *q = split_heads(project(s, "q_proj", "q", x, tokens, heads * d), heads);
    tensor *k = split_heads(project(s, "k_proj", "k", x, tokens, groups * d), groups);
    tensor *v = split_heads(project(s, "v_proj", "v", x, tokens, groups * d), groups);
    struct attention_options options = {.causal = !places};
    k = places ? remember(s, "key", k, tokens) : cache_append(s, "key", k, 0);
    v = places ? remember(s, "value", v, tokens) : cache_append(s, "value", v, 0);
    options.offset = k->shape[1] - rows;
    tensor *all = tensor_range(s->graph, 0, k->shape[1], 1);
    if (places) {
        options.bias = tensor_pad(s->memory_mask, 3, options.offset, 0, 0);
        all = tensor_affine(places, 1, (double)options.offset);
        if (options.offset)
            all = tensor_concat(2, (tensor *[]){tensor_range(s->graph, 0, options.offset, 1), all}, 0);
    }
    q = turn(s, q, tensor_slice(all, 0, options.offset, rows));
    tensor *y = merge_heads(tensor_attention(q, turn(s, k, all), v, &options));
    return project(s, "o_proj", "o", y, tokens, s->width);
}

static const char *validate(const struct scope *s)
{
    if (validate_heads(s))
        return validate_heads(s);
    return head_dim(s) % 2 ? "head_dim must be even" : NULL;
}

KERNEL(beacon_attention) = {
    .name = "beacon-attention",
    .slot = SLOT_MIXER,
    .variant = "activation-beacon",
    .summary = "attention whose beacon rows have projections of their own and are kept for later windows",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "query heads"),
                       INTEGER_OPTION("kv_heads", 0, 0, 1024, "key-value heads; 0: as many as heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       INTEGER_OPTION("sinks", 0, 0, 1 << 20, "first tokens of all that are kept"),
                       REAL_OPTION("theta", 10000, 1, 1e12, "base of the rotary frequencies"),
                       FLAG_OPTION("beacon_q", 1, "beacons have a projection to queries of their own"),
                       FLAG_OPTION("beacon_k", 1, "to keys"), FLAG_OPTION("beacon_v", 1, "to values"),
                       FLAG_OPTION("beacon_o", 0, "to the output")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "compressed"}, {"position", "rotary"}, {"state", "cache"},
                             {"time", "quadratic"}, {"decode-cost", "linear"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
