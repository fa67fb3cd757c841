/* Long-short attention (long-short-transformer; lucidrains/long-short-transformer LongShortAttention): one
 * softmax over the tokens of two windows and summaries of the past. Keys are the values, kv; q and kv are
 * turned by rotary angles of interleaved pairs.
 *
 *     near:  LN_local(kv_j) of j in the query's window of w tokens and the one before (not causal: and after)
 *     far:   LN_global(sum_j softmax_j(a . kv_j) kv_j), a trained vector of d channels for all heads
 *            causal: over each segment of s tokens, seen from its last token on;
 *                else: over all tokens, for each of r vectors a
 *     o = softmax(q . (far, near) / sqrt(d)) (far, near)
 *
 * A step keeps two windows, the tokens of the segment that has not ended, and the summaries. */
#include "block/kernel.h"

static tensor *turned(struct scope *s, tensor *x)
{
    int64_t pairs = x->shape[3] / 2, length = x->shape[1];
    tensor *frequencies =
        buffer(s, "pos_emb.inv_freq", init_function(fill_rotary_frequencies), 1, SHAPE(pairs));
    tensor *t = tensor_reshape(tensor_range(s->graph, s->position, length, 1), 2, SHAPE(length, 1));
    return tensor_rotary(x, tensor_multiply(t, tensor_reshape(frequencies, 2, SHAPE(1, pairs))), true);
}

/* The r sums of kv [B, N, H, d] over its tokens, with weights softmax(kv . a): [B, r, H, d]. */
static tensor *summaries(struct scope *s, tensor *kv)
{
    tensor *weights = tensor_softmax(linear(s, "to_dynamic_proj", kv, option(s, "summaries"), false), 1);
    tensor *sums = tensor_matmul_tn(tensor_transpose(weights, 1, 2), tensor_transpose(kv, 1, 2));
    return tensor_transpose(sums, 1, 2);
}

/* A summary for each segment that has ended, [B, n, H, d]; NULL while there is none. */
static tensor *ended_segments(struct scope *s, tensor *kv)
{
    int64_t size = option(s, "segment"), batch = kv->shape[0], heads = kv->shape[2], d = kv->shape[3];
    tensor *rows = rows_of_block(s, "segment", kv, size);
    int64_t ended = rows->shape[1] / size;
    if (ended == 0)
        return cache_rows(s, "summaries");
    rows = tensor_reshape(tensor_slice(rows, 1, 0, ended * size), 4, SHAPE(batch * ended, size, heads, d));
    rows = tensor_reshape(summaries(s, rows), 4, SHAPE(batch, ended, heads, d));
    return cache_append(s, "summaries", rows, 0);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = head_dim(s), w = option(s, "window");
    bool causal = option(s, "causal");
    tensor *q = turned(s, split_heads(linear(s, "to_q", x, heads * d, false), heads));
    tensor *kv = turned(s, split_heads(linear(s, "to_kv", x, heads * d, false), heads));
    tensor *keys = cache_append(s, "near", layer_norm(s, "local_norm", kv, 1e-5), 2 * w - 1);
    struct attention_options options = {
        .causal = causal, .block = w, .look_backward = 1, .look_forward = !causal};
    options.offset = keys->shape[1] - q->shape[1];
    options.start = s->position - options.offset;
    tensor *far = causal ? ended_segments(s, kv) : summaries(s, kv);
    /* While no segment has ended, this only declares the parameters. */
    tensor *normed = layer_norm(s, "global_norm", far ? far : summaries(s, kv), 1e-5);
    if (far) {
        options.sinks = far->shape[1];
        options.sink_span = causal ? option(s, "segment") : 0;
        options.sink_inclusive = causal;
        options.offset += options.sinks;
        options.start -= options.sinks;
        keys = tensor_concat(2, (tensor *[]){normed, keys}, 1);
    }
    return linear(s, "to_out", merge_heads(tensor_attention(q, keys, keys, &options)), s->width, true);
}

static const char *validate(const struct scope *s)
{
    if (validate_heads(s))
        return validate_heads(s);
    if (head_dim(s) % 2)
        return "a head needs an even number of channels to turn";
    return option(s, "causal") && option(s, "summaries") != 1 ? "causal segments have one summary each"
                                                              : NULL;
}

static const char *character(const struct scope *s, const char *name)
{
    return name[0] == 't' && !option(s, "causal") ? "linear" : causality_by_option(s, name);
}

KERNEL(long_short_attention) = {
    .name = "long-short-attention",
    .slot = SLOT_MIXER,
    .variant = "long-short-transformer",
    .summary =
        "one softmax over the tokens of two windows and over summaries of segments, projected by content",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       INTEGER_OPTION("window", 128, 1, 1 << 24, "positions of a window; two are seen"),
                       INTEGER_OPTION("segment", 16, 1, 1 << 24, "tokens of a summary, if causal"),
                       INTEGER_OPTION("summaries", 1, 1, 4096, "of the whole sequence, if not causal"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "compressed"}, {"state", "compressed-cache"},
                             {"position", "rotary"}, {"time", "quadratic"}, {"decode-cost", "linear"},
                             {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
