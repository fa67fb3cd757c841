/* EVA, attention by control variates, causal and without noise (eva, section 4; HKUNLP/efficient-attention
 * CausalEVAttention).
 *
 * Of each chunk C of tokens, with s = 1 / sqrt(d):
 *
 *     kbar_C = LN(mean(k) Wk' + b),  qbar_C likewise,  omega_C = qbar_C + kbar_C
 *     beta_C = sum_{j in C} softmax_j(s omega_C . k_j - s |k_j|^2 / 2) v_j
 *
 * Query t has one softmax over the tokens of its own window up to itself (with `overlap` of the window before
 * it too), logits s q_t . k_j and values v_j, and over the chunks before its own, logits s q_t . kbar_C and
 * values beta_C.
 *
 * The paper cuts a sequence into a fixed number of chunks, which is linear: `chunks`. Then the number of
 * tokens decides where they end, and a step replays. Its language models run on chunks of a fixed length:
 * `chunk`, which is quadratic, 1 / chunk of full attention. `t5_bias` adds s times a learned bias by distance
 * to the logits of tokens; as published distance is counted from the start of the query's window on one side
 * and of the overlapped window on the other. */
#include "block/kernel.h"
#include <math.h>
#include <string.h>

static const char *validate(const struct scope *s)
{
    if (validate_heads(s))
        return validate_heads(s);
    bool ragged = !option(s, "chunks") && option(s, "window") % option(s, "chunk");
    return ragged ? "the window is not a whole number of chunks" : NULL;
}

static double token_scale(const struct scope *s)
{
    return sqrt((double)option(s, "heads") / (double)s->width);
}

/* Chunk summaries [B, C, H, d] of x [B, C, c, H, d]. */
static tensor *summary(struct scope *s, const char *name, tensor *x)
{
    int64_t d = x->shape[4];
    tensor *mean = tensor_reshape(tensor_mean(x, 2), 4, SHAPE(x->shape[0], x->shape[1], x->shape[3], d));
    tensor *mapped = linear(s, part_name(s, "%s.0", name), mean, d, true);
    return option(s, "norm") ? layer_norm(s, part_name(s, "%s.1", name), mapped, 1e-5) : mapped;
}

/* beta [B, C, H, d] for k, v [B, C, c, H, d] and omega [B, C, H, d]. */
static tensor *chunk_values(tensor *omega, tensor *k, tensor *v, double scale)
{
    const int64_t *n = k->shape;
    tensor *near =
        tensor_subtract(tensor_reshape(omega, 5, SHAPE(n[0], n[1], 1, n[3], n[4])), tensor_scale(k, 0.5));
    tensor *logits = tensor_scale(tensor_sum(tensor_multiply(near, k), 4), scale);
    tensor *mixed = tensor_sum(tensor_multiply(tensor_softmax(logits, 2), v), 2);
    return tensor_reshape(mixed, 4, SHAPE(n[0], n[1], n[3], n[4]));
}

/* The logits' bias by distance between tokens, [1, N], ending in a zero for all that is further. */
static tensor *distance_bias(struct scope *s, double scale)
{
    int64_t w = option(s, "window"), extended = option(s, "overlap") ? w : 0, span = extended + w;
    int64_t buckets = span / 2 > 64 ? 64 : span / 2 < 16 ? 16 : span / 2;
    tensor *table =
        parameter(s, "rel_pos_bias.relative_attention_bias.weight", init_normal(1), 2, SHAPE(buckets, 1));
    tensor *bucket = tensor_range(s->graph, 0, span, 1);
    for (int64_t n = 0; n < span; n++)
        bucket->data[n] = (real)distance_bucket(n > extended ? n - extended : 0, buckets, span);
    tensor *bias = tensor_scale(tensor_rows(tensor_reshape(table, 1, SHAPE(buckets)), bucket), scale);
    return tensor_reshape(tensor_pad(bias, 0, 0, 1, 0), 2, SHAPE(1, span + 1));
}

static void project(struct scope *s, tensor *x, tensor **parts)
{
    static const char *const names[] = {"q_proj", "k_proj", "v_proj"};
    for (int i = 0; i < 3; i++)
        parts[i] = split_heads(linear(s, names[i], x, s->width, true), option(s, "heads"));
}

/* What is known of chunks of c tokens: kbar and beta [B, C, H, d]. */
struct chunks {
    tensor *kbar, *beta;
};

static struct chunks summarise(struct scope *s, tensor *const *tokens, int64_t c)
{
    tensor *chunked[3];
    for (int i = 0; i < 3; i++) {
        const int64_t *n = tokens[i]->shape;
        chunked[i] = tensor_reshape(tensor_contiguous(tokens[i]), 5, SHAPE(n[0], n[1] / c, c, n[2], n[3]));
    }
    tensor *kbar = summary(s, "adaptive_mu_k", chunked[1]);
    tensor *omega = tensor_add(summary(s, "adaptive_mu_q", chunked[0]), kbar);
    return (struct chunks){kbar, chunk_values(omega, chunked[1], chunked[2], token_scale(s))};
}

/* y of queries that are the last of the tokens k, v [B, n, H, d], the first of which is token `first` of the
 * sequence. */
static tensor *attend(struct scope *s, tensor *q, tensor *k, tensor *v, struct chunks chunks, int64_t c,
                      int64_t first)
{
    struct attention_options options = {.scale = token_scale(s),
                                        .causal = true,
                                        .offset = k->shape[1] - q->shape[1],
                                        .start = first,
                                        .block = option(s, "window"),
                                        .look_backward = option(s, "overlap")};
    if (option(s, "t5_bias"))
        options.distance_bias = distance_bias(s, options.scale);
    if (chunks.kbar) {
        /* Chunks stand before the tokens, and behind them places that nobody sees: too far for a bias by
         * distance. */
        int64_t apart = options.distance_bias ? options.distance_bias->shape[1] : 0;
        options.sinks = chunks.kbar->shape[1] + apart;
        options.sink_span = c;
        options.offset += options.sinks;
        options.start -= options.sinks;
        k = tensor_concat(2, (tensor *[]){tensor_pad(chunks.kbar, 1, 0, apart, 0), k}, 1);
        v = tensor_concat(2, (tensor *[]){tensor_pad(chunks.beta, 1, 0, apart, 0), v}, 1);
    }
    return linear(s, "out_proj", merge_heads(tensor_attention(q, k, v, &options)), s->width, true);
}

static int64_t chunk_length(struct scope *s, int64_t length)
{
    int64_t w = option(s, "window"), count = option(s, "chunks"), padded = (length + w - 1) / w * w;
    if (count == 0)
        return option(s, "chunk");
    return padded > count ? padded / count : 1;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t length = x->shape[1], c = chunk_length(s, length), whole = length / c * c;
    tensor *tokens[3], *closed[3];
    project(s, x, tokens);
    for (int i = 0; i < 3; i++)
        closed[i] = whole ? tensor_slice(tokens[i], 1, 0, whole) : tensor_pad(tokens[i], 1, 0, c - length, 0);
    return attend(s, tokens[0], tokens[1], tokens[2], summarise(s, closed, c), c, 0);
}

/* Keeps the tokens of the window and of the open chunk, and of every finished chunk its kbar and beta. */
static tensor *step(struct scope *s, tensor *x)
{
    if (option(s, "chunks"))
        return replay_step(s, x);
    int64_t c = option(s, "chunk"), rows = x->shape[1], end = s->position + rows;
    int64_t limit = (option(s, "overlap") ? 2 : 1) * option(s, "window"), d = s->width / option(s, "heads");
    int64_t finished = end / c - s->position / c, open = end - s->position / c * c;
    tensor *tokens[3], *closed[3];
    project(s, x, tokens);
    tensor *q = tokens[0], *kept = cache_append(s, "tokens", tensor_concat(3, tokens, 3), limit);
    struct chunks chunks;
    for (int i = 0; i < 3; i++) {
        tokens[i] = tensor_slice(kept, 3, i * d, d);
        closed[i] = tensor_slice(tokens[i], 1, kept->shape[1] - open, finished * c);
    }
    if (finished) {
        chunks = summarise(s, closed, c);
        chunks.kbar = cache_append(s, "kbar", chunks.kbar, 0);
        chunks.beta = cache_append(s, "beta", chunks.beta, 0);
    } else {
        chunks = (struct chunks){cache_rows(s, "kbar"), cache_rows(s, "beta")};
    }
    return attend(s, q, tokens[1], tokens[2], chunks, c, end - kept->shape[1]);
}

static const char *character(const struct scope *s, const char *name)
{
    if (!option(s, "chunks"))
        return NULL;
    return strcmp(name, "time") == 0          ? "linear"
           : strcmp(name, "decode-cost") == 0 ? "replay"
           : strcmp(name, "causality") == 0   ? "approximate"
                                              : NULL;
}

KERNEL(control_variate_attention) = {
    .name = "control-variate-attention",
    .slot = SLOT_MIXER,
    .variant = "eva",
    .summary = "exact attention in a window, joined in one softmax with an estimate for every earlier chunk",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("window", 128, 1, 65536, "tokens of a window"),
                       INTEGER_OPTION("chunk", 16, 1, 65536, "tokens of a chunk; divides the window"),
                       INTEGER_OPTION("chunks", 0, 0, 65536, "chunks of a sequence; 0: as `chunk` says"),
                       FLAG_OPTION("overlap", 0, "the window before is seen token by token too"),
                       FLAG_OPTION("norm", 1, "summaries of chunks are normalised"),
                       FLAG_OPTION("t5_bias", 0, "learned bias by distance within the window")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "compressed"}, {"state", "compressed-cache"},
                             {"feature-map", "random"}, {"output-gate", "no"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = step,
};
