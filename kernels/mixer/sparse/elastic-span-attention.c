/* MoA: each head of a trained model has a span of its own, which grows with the input (moa, section 3;
 * thu-nics/MoA).
 *
 *     n_h = min(int(alpha_h + beta_h T), T), at least `least`, rounded up to a multiple of `split`
 *     g_h = min(n_h, sinks),  w_h = n_h - g_h;     token t sees s <= t with s < g_h or t - s < w_h
 *
 * T is the number of tokens, in a step those so far. Entries of the lists serve heads in turn. The published
 * kernels take whole blocks of 64 keys; this is the rule by element of the published density function.
 * Neighbouring heads of one span are one attention. */
#include "block/kernel.h"
#include <string.h>

static double entry(const struct scope *s, const char *name, int64_t head)
{
    int count;
    const double *values = option_list(s, name, &count);
    return values[head % count];
}

/* n_h */
static int64_t span_of(const struct scope *s, int64_t head, int64_t length)
{
    int64_t n = (int64_t)(entry(s, "alphas", head) + entry(s, "betas", head) * (double)length);
    int64_t least = option(s, "least"), split = option(s, "split");
    n = n < length ? n : length;
    n = n > least ? n : least;
    return (n + split - 1) / split * split;
}

static bool grows(const struct scope *s)
{
    int count;
    const double *betas = option_list(s, "betas", &count);
    for (int i = 0; i < count; i++)
        if (betas[i] > 0)
            return true;
    return false;
}

/* Keys or values so far. Of spans that do not grow the sinks and the rows in the longest window's reach are
 * all that is kept. */
static tensor *kept(struct scope *s, const char *name, tensor *x)
{
    if (!s->state || grows(s))
        return cache_append(s, name, x, 0);
    int64_t length = x->shape[1], left = option(s, "sinks") - s->position, reach = 1;
    int64_t sinks = left < 0 ? 0 : left < length ? left : length;
    for (int64_t head = 0; head < option(s, "heads"); head++) {
        int64_t span = span_of(s, head, INT64_MAX);
        reach = span > reach ? span : reach;
    }
    tensor *first = cache_append(s, part_name(s, "%s.sink", name), tensor_slice(x, 1, 0, sinks), 0);
    tensor *rest = cache_append(s, name, tensor_slice(x, 1, sinks, length - sinks), reach);
    return tensor_concat(2, (tensor *[]){first, rest}, 1);
}

static tensor *attend(struct scope *s, tensor *q, tensor *k, tensor *v, int64_t span)
{
    int64_t sinks = option(s, "sinks"), offset = k->shape[1] - q->shape[1];
    sinks = span < sinks ? span : sinks;
    struct attention_options options = {
        .causal = true, .offset = offset, .window = span - sinks, .sinks = sinks};
    if (span == sinks) { /* nothing but sinks */
        int64_t seen = sinks < k->shape[1] ? sinks : k->shape[1];
        k = tensor_slice(k, 1, 0, seen);
        v = tensor_slice(v, 1, 0, seen);
    }
    return tensor_attention(q, k, v, &options);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), groups = key_value_heads(s), d = head_dim(s);
    tensor *q = split_heads(linear(s, "q_proj", x, heads * d, false), heads);
    tensor *k = split_heads(linear(s, "k_proj", x, groups * d, false), groups);
    tensor *v = split_heads(linear(s, "v_proj", x, groups * d, false), groups);
    rotate_query_and_key(s, &q, &k);
    k = repeat_heads(kept(s, "key", k), heads / groups);
    v = repeat_heads(kept(s, "value", v), heads / groups);
    int64_t length = s->position + x->shape[1];
    struct pieces parts = {0};
    for (int64_t first = 0, next; first < heads; first = next) {
        int64_t span = span_of(s, first, length);
        for (next = first + 1; next < heads && span_of(s, next, length) == span;)
            next++;
        add_piece(&parts,
                  attend(s, tensor_slice(q, 2, first, next - first), tensor_slice(k, 2, first, next - first),
                         tensor_slice(v, 2, first, next - first), span));
    }
    return linear(s, "o_proj", merge_heads(join_pieces(&parts, 2)), s->width, false);
}

static const char *character(const struct scope *s, const char *name)
{
    if (heads_by_option(s, name))
        return heads_by_option(s, name);
    if (grows(s))
        return NULL;
    return strcmp(name, "causality") == 0     ? "causal"
           : strcmp(name, "time") == 0        ? "linear"
           : strcmp(name, "state") == 0       ? "window-cache"
           : strcmp(name, "decode-cost") == 0 ? "constant"
                                              : NULL;
}

static const char *validate(const struct scope *s)
{
    int alphas, betas;
    option_list(s, "alphas", &alphas);
    option_list(s, "betas", &betas);
    if (alphas < 1 || betas < 1)
        return "alphas and betas need at least one entry each";
    return validate_heads(s);
}

KERNEL(elastic_span_attention) = {
    .name = "elastic-span-attention",
    .slot = SLOT_MIXER,
    .variant = "moa",
    .summary = "sinks and a window for each head, which grows with the input at the head's own rate",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "query heads"),
                       INTEGER_OPTION("kv_heads", 0, 0, 1024, "key-value heads; 0: as many as heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       LIST_OPTION("alphas", "0", -1e9, 1e9, "constant parts of spans, head by head"),
                       LIST_OPTION("betas", "0.125,0.25,0.5,1", 0, 1e3, "spans for each token of the input"),
                       INTEGER_OPTION("sinks", 4, 0, 1 << 24, "first tokens of a span"),
                       INTEGER_OPTION("least", 16, 0, 1 << 24, "tokens of a span at least"),
                       INTEGER_OPTION("split", 4, 1, 1 << 20, "spans are multiples of this")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "window"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "approximate"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
