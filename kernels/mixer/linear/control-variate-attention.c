/* EVA, attention by control variates, causal and without noise (eva, eq. 11 to 17; HKUNLP/efficient-attention CausalEVAttention).
 *
 * Of each chunk C of tokens:  kbar_C = LN(mean(k) Wk' + b),  qbar_C likewise,  omega_C = qbar_C + kbar_C,  s = 1 / sqrt(d),
 *     beta_C = sum_{j in C} softmax_j(s omega_C . k_j - s |k_j|^2 / 2) v_j
 * Query t has one softmax over the tokens of its own window up to itself (with `overlap` of the window before it too), logits s q_t .
 * k_j and
 * values v_j, and over the chunks before its own, logits s q_t . kbar_C and values beta_C.
 *
 * `t5_bias` adds s times a learned bias by distance to the logits of tokens; as published distance is counted from the start of the query's
 * window on one side and of the overlapped window on the other. The chunks make it quadratic, 1 / chunk of full attention. */
#include "block/kernel.h"
#include <math.h>

static const char *validate(const struct scope *s)
{
    if (validate_heads(s))
        return validate_heads(s);
    return option(s, "window") % option(s, "chunk") ? "the window is not a whole number of chunks" : NULL;
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

/* [B n, 1, w, e + w + C]: -inf where a query of a window may not look. */
static tensor *visibility(struct scope *s, int64_t batch, int64_t windows, int64_t chunks)
{
    int64_t w = option(s, "window"), c = option(s, "chunk"), before = option(s, "overlap") ? w : 0;
    int64_t span = before + w, keys = span + chunks;
    tensor *mask = tensor_constant(s->graph, NULL, 4, SHAPE(batch * windows, 1, w, keys));
    for (int64_t row = 0; row < batch * windows * w; row++) {
        int64_t t = row % (windows * w), start = t / w * w - before;
        real *hidden = mask->data + row * keys;
        for (int64_t j = 0; j < span; j++)
            hidden[j] = start + j < 0 || start + j > t ? -(real)INFINITY : 0;
        for (int64_t j = t / c; j < chunks; j++)
            hidden[span + j] = -(real)INFINITY;
    }
    return mask;
}

/* s times the bias at `distances`, which count the tokens from key to query as published. */
static tensor *distance_bias(struct scope *s, tensor *distances, double scale)
{
    int64_t w = option(s, "window"), span = option(s, "overlap") ? 2 * w : w;
    int64_t buckets = span / 2 > 64 ? 64 : span / 2 < 16 ? 16 : span / 2;
    tensor *table =
        parameter(s, "rel_pos_bias.relative_attention_bias.weight", init_normal(1), 2, SHAPE(buckets, 1));
    int64_t size = tensor_size(distances);
    for (int64_t n = 0; n < size; n++) {
        int64_t distance = (int64_t)distances->data[n];
        bool within = distance > 0 && distance < w; /* what is further is hidden */
        distances->data[n] = (real)distance_bucket(within ? distance : 0, buckets, span);
    }
    return tensor_scale(tensor_rows(tensor_reshape(table, 1, SHAPE(buckets)), distances), scale);
}

/* The bias of a window's queries, [1, 1, w, e + w + C]. */
static tensor *window_bias(struct scope *s, int64_t chunks, double scale)
{
    int64_t w = option(s, "window"), span = option(s, "overlap") ? 2 * w : w;
    tensor *distances = tensor_constant(s->graph, NULL, 4, SHAPE(1, 1, w, span));
    for (int64_t n = 0; n < w * span; n++)
        distances->data[n] = (real)(n / span - n % span);
    return tensor_pad(distance_bias(s, distances, scale), 3, 0, chunks, 0);
}

/* Keys or values of all windows, [B n, e + w + C, H, d]: their tokens, then the chunks. */
static tensor *with_chunks(struct scope *s, tensor *tokens, tensor *chunks)
{
    int64_t w = option(s, "window"), before = option(s, "overlap") ? w : 0, batch = tokens->shape[0],
            windows = tokens->shape[1] / w, heads = tokens->shape[2], d = tokens->shape[3];
    tensor *local = tensor_windows(tensor_pad(tokens, 1, before, 0, 0), 1, before + w, w);
    int64_t count = chunks->shape[1];
    tensor *everywhere = tensor_broadcast(tensor_reshape(chunks, 5, SHAPE(batch, 1, count, heads, d)), 5,
                                          SHAPE(batch, windows, count, heads, d));
    tensor *all = tensor_concat(2, (tensor *[]){local, everywhere}, 2);
    return tensor_reshape(all, 4, SHAPE(batch * windows, before + w + count, heads, d));
}

static void project(struct scope *s, tensor *x, tensor **parts)
{
    static const char *const names[] = {"q_proj", "k_proj", "v_proj"};
    for (int i = 0; i < 3; i++)
        parts[i] = split_heads(linear(s, names[i], x, s->width, true), option(s, "heads"));
}

/* kbar and beta [B, C, H, d] of tokens q, k, v [B, C c, H, d]. */
static void summarise(struct scope *s, tensor *const *tokens, double scale, tensor **kbar, tensor **beta)
{
    int64_t c = option(s, "chunk");
    tensor *chunked[3];
    for (int i = 0; i < 3; i++) {
        const int64_t *n = tokens[i]->shape;
        chunked[i] = tensor_reshape(tensor_contiguous(tokens[i]), 5, SHAPE(n[0], n[1] / c, c, n[2], n[3]));
    }
    *kbar = summary(s, "adaptive_mu_k", chunked[1]);
    tensor *omega = tensor_add(summary(s, "adaptive_mu_q", chunked[0]), *kbar);
    *beta = chunk_values(omega, chunked[1], chunked[2], scale);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), w = option(s, "window"), d = s->width / heads;
    int64_t batch = x->shape[0], length = x->shape[1], windows = (length + w - 1) / w,
            chunks = windows * w / option(s, "chunk");
    double scale = 1 / sqrt((double)d);
    tensor *tokens[3], *kbar, *beta;
    project(s, x, tokens);
    for (int i = 0; i < 3; i++)
        tokens[i] = tensor_pad(tokens[i], 1, 0, windows * w - length, 0);
    summarise(s, tokens, scale, &kbar, &beta);
    tensor *bias = visibility(s, batch, windows, chunks);
    if (option(s, "t5_bias"))
        bias = tensor_add(bias, window_bias(s, chunks, scale));
    tensor *q = tensor_reshape(tensor_contiguous(tokens[0]), 4, SHAPE(batch * windows, w, heads, d));
    tensor *y = tensor_attention(q, with_chunks(s, tokens[1], kbar), with_chunks(s, tokens[2], beta),
                                 &(struct attention_options){.scale = scale, .bias = bias});
    y = tensor_slice(tensor_reshape(y, 3, SHAPE(batch, windows * w, s->width)), 1, 0, length);
    return linear(s, "out_proj", y, s->width, true);
}

/* The bias of the newest `rows` tokens over the newest `kept` ones and all chunks, [1, 1, rows, kept + chunks]; -inf hides. */
static tensor *step_bias(struct scope *s, int64_t rows, int64_t kept, int64_t chunks, double scale)
{
    int64_t w = option(s, "window"), before = option(s, "overlap") ? w : 0, keys = kept + chunks;
    tensor *bias = tensor_constant(s->graph, NULL, 4, SHAPE(1, 1, rows, keys));
    tensor *distances = tensor_constant(s->graph, NULL, 4, SHAPE(1, 1, rows, kept));
    for (int64_t row = 0; row < rows; row++) {
        int64_t t = s->position + row, start = t / w * w - before;
        for (int64_t j = 0; j < kept; j++) {
            int64_t token = s->position + rows - kept + j;
            bias->data[row * keys + j] = token < start || token > t ? -(real)INFINITY : 0;
            distances->data[row * kept + j] = (real)(t % w - (token - start));
        }
        for (int64_t j = t / option(s, "chunk"); j < chunks; j++)
            bias->data[row * keys + kept + j] = -(real)INFINITY;
    }
    if (!option(s, "t5_bias"))
        return bias;
    return tensor_add(bias, tensor_pad(distance_bias(s, distances, scale), 3, 0, chunks, 0));
}

/* Keeps the tokens of the window and of the open chunk, and of every finished chunk its kbar and beta. */
static tensor *step(struct scope *s, tensor *x)
{
    int64_t c = option(s, "chunk"), w = option(s, "window"), rows = x->shape[1], end = s->position + rows;
    int64_t limit = (option(s, "overlap") ? 2 : 1) * w, finished = end / c - s->position / c,
            d = s->width / option(s, "heads");
    double scale = 1 / sqrt((double)d);
    tensor *tokens[3], *closed[3], *kbar, *beta;
    project(s, x, tokens);
    tensor *q = tokens[0], *kept = cache_append(s, "tokens", tensor_concat(3, tokens, 3), limit);
    for (int i = 0; i < 3; i++)
        tokens[i] = tensor_slice(kept, 3, i * d, d);
    if (finished) {
        for (int i = 0; i < 3; i++)
            closed[i] =
                tensor_slice(tokens[i], 1, tokens[i]->shape[1] - (end - s->position / c * c), finished * c);
        summarise(s, closed, scale, &kbar, &beta);
        kbar = cache_append(s, "kbar", kbar, 0);
        beta = cache_append(s, "beta", beta, 0);
    } else {
        kbar = cache_rows(s, "kbar");
        beta = cache_rows(s, "beta");
    }
    int64_t chunks = kbar ? kbar->shape[1] : 0;
    tensor *bias = step_bias(s, rows, tokens[1]->shape[1], chunks, scale);
    tensor *k = tokens[1], *v = tokens[2];
    if (chunks) {
        k = tensor_concat(2, (tensor *[]){k, kbar}, 1);
        v = tensor_concat(2, (tensor *[]){v, beta}, 1);
    }
    tensor *y = tensor_attention(q, k, v, &(struct attention_options){.scale = scale, .bias = bias});
    return linear(s, "out_proj", merge_heads(y), s->width, true);
}

KERNEL(control_variate_attention) = {
    .name = "control-variate-attention",
    .slot = SLOT_MIXER,
    .variant = "eva",
    .summary = "exact attention in a window, joined in one softmax with an estimate for every earlier chunk",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("window", 128, 1, 65536, "tokens of a window"),
                       INTEGER_OPTION("chunk", 16, 1, 65536, "tokens of a chunk; divides the window"),
                       FLAG_OPTION("overlap", 0, "the window before is seen token by token too"),
                       FLAG_OPTION("norm", 1, "summaries of chunks are normalised"),
                       FLAG_OPTION("t5_bias", 0, "learned bias by distance within the window")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "compressed"}, {"state", "compressed-cache"},
                             {"feature-map", "random"}, {"output-gate", "no"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = step,
};
