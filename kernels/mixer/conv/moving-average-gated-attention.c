/* Mega's gated attention (mega, section 3.2, eq. 10 to 16; facebookresearch/mega
 * MovingAverageGatedAttention).
 *
 *     m = silu(EMA(x)),  v = silu(x Wv),  (u, z, r, h') = slices of m W + b: sigmoid(u), silu(z), silu(r)
 *     q, k = z gamma_i + beta_i,  o = f(q k^T + B) v          one head, inside chunks of c tokens if asked
 *     h = silu(h' + (o * r) Wh),  y = u * (h - x0)            x0 the layer's input, to which the block adds y
 *
 * f is a softmax with the scale 1 / sqrt(d), or laplace or relu^2 of q k^T / n + B, n being the number of
 * keys that a query sees; laplace with its two constants rounded to six places, as published. B is a table by
 * distance, or the product of two trained vectors that turn with the positions (rotary). `bidirectional`: a
 * second average runs backwards, and nothing is hidden. */
#include "moving-average.h"
#include <string.h>

/* What the queries of one call see: columns keys from position `first` on, the queries being the last of
 * them. */
struct view {
    int64_t rows, columns, first, chunk;
};

static int64_t chunk_of(const struct scope *s)
{
    return option(s, "chunk") > 0 ? option(s, "chunk") : 0;
}

/* B by offset from query to key, -(n - 1) .. n - 1: [2 n - 1]. */
static tensor *offset_bias(struct scope *s, int64_t n)
{
    int64_t length = chunk_of(s) ? chunk_of(s) : option(s, "length"), d = option(s, "key_dim");
    if (option_is(s, "position_bias", "simple")) {
        if (n > length)
            kernel_fail(s, "it has biases for %lld positions only (option length)", (long long)length);
        tensor *table =
            parameter(s, "rel_pos_bias.rel_pos_bias", init_normal(0.02), 1, SHAPE(2 * length - 1));
        return tensor_slice(table, 0, length - n, 2 * n - 1);
    }
    tensor *alpha = parameter(s, "rel_pos_bias.alpha", init_normal(0.02), 2, SHAPE(1, d));
    tensor *beta = parameter(s, "rel_pos_bias.beta", init_normal(0.02), 2, SHAPE(1, d));
    tensor *angles = tensor_constant(s->graph, NULL, 2, SHAPE(2 * n - 1, d / 2));
    for (int64_t i = 0; i < 2 * n - 1; i++)
        for (int64_t m = 0; m < d / 2; m++)
            angles->data[i * (d / 2) + m] =
                (real)((double)(n - 1 - i) * exp(-(double)m * log(10000) / (double)(d / 2)));
    tensor *turned =
        tensor_broadcast(tensor_reshape(alpha, 4, SHAPE(1, 1, 1, d)), 4, SHAPE(1, 2 * n - 1, 1, d));
    turned = tensor_multiply(tensor_rotary(turned, angles, false), beta);
    return tensor_reshape(tensor_sum(turned, 3), 1, SHAPE(2 * n - 1));
}

/* Distances that occur, from 0 on; in a chunk no more than it has tokens. */
static int64_t distances(const struct view *v)
{
    return v->chunk && v->chunk < v->columns ? v->chunk : v->columns;
}

/* B for each pair [rows, columns]; what no chunk holds gets some value. */
static tensor *pair_bias(struct scope *s, const struct view *v)
{
    int64_t n = distances(v);
    tensor *places = tensor_constant(s->graph, NULL, 2, SHAPE(v->rows, v->columns));
    for (int64_t i = 0; i < v->rows; i++)
        for (int64_t j = 0; j < v->columns; j++) {
            int64_t offset = j - (i + v->columns - v->rows);
            offset = offset < 1 - n ? 1 - n : offset > n - 1 ? n - 1 : offset;
            places->data[i * v->columns + j] = (real)(n - 1 + offset);
        }
    return tensor_rows(offset_bias(s, n), places);
}

/* 1 / n_i where query i sees key j, else 0; n_i the keys that it sees. */
static tensor *shares(struct scope *s, const struct view *v)
{
    tensor *share = tensor_constant(s->graph, NULL, 2, SHAPE(v->rows, v->columns));
    bool causal = !option(s, "bidirectional");
    for (int64_t i = 0; i < v->rows; i++) {
        int64_t at = i + v->columns - v->rows, last = causal ? at : v->columns - 1, place = v->first + at;
        int64_t begin = v->chunk ? place / v->chunk * v->chunk - v->first : 0;
        for (int64_t j = begin > 0 ? begin : 0; j <= last; j++)
            share->data[i * v->columns + j] = (real)(1 / (double)(last - begin + 1));
    }
    return share;
}

static tensor *elementwise(struct scope *s, tensor *q, tensor *k, tensor *v, const struct view *view)
{
    tensor *share = shares(s, view);
    tensor *scores = tensor_add(tensor_multiply(tensor_matmul_nt(q, k), share), pair_bias(s, view));
    tensor *weights = option_is(s, "normalizer", "laplace") ? normal_distribution(scores, 0.707107, 0.282095)
                                                            : tensor_square(tensor_relu(scores));
    tensor *visible = tensor_greater(share, tensor_scalar(s->graph, 0));
    return tensor_matmul(tensor_multiply(weights, visible), v);
}

static tensor *softmax(struct scope *s, tensor *q, tensor *k, tensor *v, const struct view *view)
{
    int64_t n = distances(view);
    struct attention_options options = {.causal = !option(s, "bidirectional"),
                                        .offset = view->columns - view->rows,
                                        .block = view->chunk,
                                        .start = view->first};
    if (options.causal) {
        tensor *past = tensor_flip(tensor_slice(offset_bias(s, n), 0, 0, n), 0);
        options.distance_bias = tensor_reshape(past, 2, SHAPE(1, n));
    } else {
        options.bias = tensor_reshape(pair_bias(s, view), 4, SHAPE(1, 1, view->rows, view->columns));
    }
    return merge_heads(tensor_attention(split_heads(q, 1), split_heads(k, 1), split_heads(v, 1), &options));
}

/* x [B, n c, d] as [B n, c, d], zeros behind it if they are needed. */
static tensor *folded(tensor *x, int64_t c)
{
    int64_t count = (x->shape[1] + c - 1) / c;
    x = tensor_pad(x, 1, 0, count * c - x->shape[1], 0);
    return tensor_reshape(x, 3, SHAPE(x->shape[0] * count, c, x->shape[2]));
}

static tensor *attend(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    tensor *(*attention)(struct scope *, tensor *, tensor *, tensor *, const struct view *) =
        option_is(s, "normalizer", "softmax") ? softmax : elementwise;
    int64_t batch = q->shape[0], length = q->shape[1], chunk = chunk_of(s);
    if (s->state || chunk == 0 || length <= chunk) {
        k = chunk == 1 ? k : cache_append(s, "key", k, chunk ? chunk - 1 : 0);
        v = chunk == 1 ? v : cache_append(s, "value", v, chunk ? chunk - 1 : 0);
        struct view view = {length, k->shape[1], s->position + length - k->shape[1], chunk};
        return attention(s, q, k, v, &view);
    }
    if (option(s, "bidirectional") && length % chunk)
        kernel_fail(s, "both ways the length must be a multiple of chunk");
    struct view view = {chunk, chunk, 0, 0};
    tensor *y = attention(s, folded(q, chunk), folded(k, chunk), folded(v, chunk), &view);
    y = tensor_reshape(y, 3, SHAPE(batch, y->shape[0] / batch * chunk, v->shape[2]));
    return tensor_slice(y, 1, 0, length);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t width = s->width, d = option(s, "key_dim"), e = option_or(s, "hidden", 2 * width);
    tensor *residual = s->layer_input ? s->layer_input : x, *copies[2];
    tensor *v = tensor_silu(linear(s, "v_proj", x, e, true));
    tensor *m =
        moving_average(s, "move", x, option(s, "state"), option(s, "truncation"), option(s, "bidirectional"));
    tensor *base = linear(s, "mx_proj", tensor_silu(m), 2 * width + d + e, true);
    tensor *u = tensor_sigmoid(tensor_slice(base, 2, 0, width));
    tensor *zr = tensor_silu(tensor_slice(base, 2, width, d + e));
    query_and_key(s, tensor_slice(zr, 2, 0, d), 1, copies);
    tensor *o = attend(s, copies[0], copies[1], v);
    tensor *h = linear(s, "h_proj", tensor_multiply(o, tensor_slice(zr, 2, d, e)), width, true);
    h = tensor_activation(tensor_add(tensor_slice(base, 2, width + d + e, width), h),
                          option_choice(s, "activation"));
    return tensor_multiply(u, tensor_subtract(h, residual));
}

static const char *validate(const struct scope *s)
{
    return option_is(s, "position_bias", "rotary") && option(s, "key_dim") % 2 ? "key_dim is odd: pairs turn"
                                                                               : NULL;
}

static const char *character(const struct scope *s, const char *name)
{
    if (strcmp(name, "causality") == 0)
        return causality_by_option(s, name);
    if (strcmp(name, "normalizer") == 0)
        return option_is(s, "normalizer", "softmax") ? NULL : "none";
    if (!chunk_of(s))
        return NULL;
    return strcmp(name, "visibility") == 0    ? "block"
           : strcmp(name, "state") == 0       ? "window-cache"
           : strcmp(name, "time") == 0        ? "log-linear"
           : strcmp(name, "decode-cost") == 0 ? "constant"
                                              : NULL;
}

KERNEL(moving_average_gated_attention) = {
    .name = "moving-average-gated-attention",
    .slot = SLOT_MIXER,
    .variant = "mega",
    .summary = "single-head gated attention whose queries and keys come from a damped moving average",
    .options = OPTIONS(
        INTEGER_OPTION("key_dim", 64, 1, 4096, "channels of queries and keys"),
        INTEGER_OPTION("hidden", 0, 0, 1 << 20, "channels of values and the reset gate; 0: 2 * width"),
        INTEGER_OPTION("state", 16, 1, 1024, "moving averages of a channel"),
        INTEGER_OPTION("chunk", 0, -1, 1 << 24, "tokens of a chunk; none if not positive"),
        INTEGER_OPTION("length", 8192, 1, 1 << 24, "positions that have biases, without chunks"),
        INTEGER_OPTION("truncation", 0, 0, 1 << 24, "tokens that an average reaches; 0: all"),
        CHOICE_OPTION("normalizer", "softmax|laplace|relu2", "f"),
        CHOICE_OPTION("position_bias", "simple|rotary", "B"),
        CHOICE_OPTION("activation", "silu|gelu|relu|tanh|identity", "of h"),
        FLAG_OPTION("bidirectional", 0, "later tokens are seen as well")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "single"},
                             {"visibility", "all"}, {"state", "cache"}, {"decay", "learned"},
                             {"decay-grain", "state"}, {"output-gate", "yes"}, {"position", "relative"},
                             {"time", "quadratic"}, {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
