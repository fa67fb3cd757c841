/* Longformer's attention: a window for every token beside a few global ones (longformer, section 3;
 * allenai/longformer LongformerSelfAttention).
 *
 * A token t that is not global has one softmax over the tokens s with |t - s| <= w c, t - s a multiple of the
 * dilation c, and all global tokens wherever they are, each once; scores q . k / sqrt(d). A global token
 * attends to all, with projections of its own:
 *
 *     y_t = softmax_s(qg_t . kg_s / sqrt(d)) vg_s,
 *         qg, kg, vg = x query_global, x key_global, x value_global
 *
 * Which tokens are global, the input attention_mask [B, T] says (> 0), read when the graph is built; without
 * it they are the first `global_tokens`. The window and the global keys are two attentions, joined by their
 * log sums. */
#include "strides.h"
#include <math.h>

/* Each entry's global tokens, filled up by token 0 to as many as the entry with most has. */
struct globals {
    int64_t count;
    tensor *places;  /* [B, count, 1, 1] */
    tensor *absent;  /* [B, 1, 1, count]: -infinity where it is filled up, else 0 */
    tensor *present; /* [B, count, 1, 1]: 0 and 1 */
    tensor *hidden;  /* [B, 1, 1, T]: -infinity at global tokens, else 0 */
    tensor *chosen;  /* [B, T, 1, 1]: 1 at global tokens */
};

static bool is_global(const struct scope *s, const tensor *mask, int64_t b, int64_t t)
{
    return mask ? mask->data[b * mask->stride[0] + t * mask->stride[1]] > 0 : t < option(s, "global_tokens");
}

static struct globals find_globals(struct scope *s, int64_t batch, int64_t length)
{
    tensor *mask = further_input(s, "attention_mask");
    if (mask && (mask->rank != 2 || mask->shape[0] != batch || mask->shape[1] != length))
        kernel_fail(s, "the input attention_mask is not [B, T] as the tokens are");
    struct globals g = {0};
    for (int64_t b = 0; b < batch; b++) {
        int64_t count = 0;
        for (int64_t t = 0; t < length; t++)
            count += is_global(s, mask, b, t);
        g.count = count > g.count ? count : g.count;
    }
    if (!g.count)
        return g;
    g.places = tensor_full(s->graph, 0, 4, SHAPE(batch, g.count, 1, 1));
    g.absent = tensor_full(s->graph, -INFINITY, 4, SHAPE(batch, 1, 1, g.count));
    g.present = tensor_full(s->graph, 0, 4, SHAPE(batch, g.count, 1, 1));
    g.hidden = tensor_full(s->graph, 0, 4, SHAPE(batch, 1, 1, length));
    g.chosen = tensor_full(s->graph, 0, 4, SHAPE(batch, length, 1, 1));
    for (int64_t b = 0; b < batch; b++)
        for (int64_t t = 0, i = b * g.count; t < length; t++)
            if (is_global(s, mask, b, t)) {
                g.places->data[i] = (real)t;
                g.absent->data[i] = 0;
                g.present->data[i++] = 1;
                g.hidden->data[b * length + t] = -INFINITY;
                g.chosen->data[b * length + t] = 1;
            }
    return g;
}

/* The window of every token, without global tokens. */
static tensor *attend_window(struct scope *s, tensor *q, tensor *k, tensor *v, const struct globals *g,
                             tensor **log_sum)
{
    int64_t stride = option(s, "dilation"), batch = q->shape[0], length = q->shape[1], heads = q->shape[2];
    struct attention_options options = {
        .window = option(s, "window") + 1, .bias = g->hidden, .log_sum = log_sum};
    if (stride == 1)
        return tensor_attention(q, k, v, &options);
    tensor *hidden = g->hidden ? tensor_reshape(g->hidden, 4, SHAPE(batch, length, 1, 1))
                               : tensor_full(s->graph, 0, 4, SHAPE(batch, length, 1, 1));
    int64_t n = (length + stride - 1) / stride;
    hidden = strided_rows(tensor_pad(hidden, 1, 0, n * stride - length, -INFINITY), stride);
    options.bias = tensor_reshape(hidden, 4, SHAPE(batch * stride, 1, 1, n));
    tensor *y =
        tensor_attention(strided_rows(q, stride), strided_rows(k, stride), strided_rows(v, stride), &options);
    tensor *sums = tensor_reshape(tensor_transpose(*log_sum, 1, 2), 4, SHAPE(batch * stride, n, heads, 1));
    sums = tensor_reshape(joined_strides(sums, stride, length), 3, SHAPE(batch, length, heads));
    *log_sum = tensor_transpose(sums, 1, 2);
    return joined_strides(y, stride, length);
}

/* y [B, T, H, d] with what global tokens see in their places. */
static tensor *put_globals(struct scope *s, tensor *x, tensor *y, const struct globals *g)
{
    int64_t heads = y->shape[2], batch = x->shape[0];
    tensor *places = tensor_reshape(g->places, 3, SHAPE(batch, g->count, 1));
    tensor *q = split_heads(linear(s, "query_global", tensor_gather(x, 1, places), s->width, true), heads);
    tensor *k = split_heads(linear(s, "key_global", x, s->width, true), heads);
    tensor *v = split_heads(linear(s, "value_global", x, s->width, true), heads);
    tensor *seen = tensor_multiply(tensor_attention(q, k, v, &(struct attention_options){0}), g->present);
    return tensor_where(g->chosen, tensor_scatter_add(seen, 1, g->places, x->shape[1]), y);
}

/* A published layer has these weights also where nothing is global. */
static void declare_globals(struct scope *s)
{
    static const char *const names[] = {"query_global", "key_global", "value_global"};
    for (int i = 0; i < 3; i++) {
        parameter(s, part_name(s, "%s.weight", names[i]), init_linear(), 2, SHAPE(s->width, s->width));
        parameter(s, part_name(s, "%s.bias", names[i]), init_constant(0), 1, SHAPE(s->width));
    }
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads");
    struct globals g = find_globals(s, x->shape[0], x->shape[1]);
    tensor *q = split_heads(linear(s, "query", x, s->width, true), heads);
    tensor *k = split_heads(linear(s, "key", x, s->width, true), heads);
    tensor *v = split_heads(linear(s, "value", x, s->width, true), heads);
    tensor *sums[2], *parts[2] = {attend_window(s, q, k, v, &g, &sums[0])}, *y = parts[0];
    if (g.count) {
        struct attention_options options = {.bias = g.absent, .log_sum = &sums[1]};
        parts[1] =
            tensor_attention(q, tensor_gather(k, 1, g.places), tensor_gather(v, 1, g.places), &options);
        y = put_globals(s, x, tensor_join_attention(2, parts, sums), &g);
    } else {
        declare_globals(s);
    }
    y = merge_heads(y);
    return option(s, "output") ? linear(s, "dense", y, s->width, true) : y;
}

KERNEL(sliding_window_global_attention) = {
    .name = "sliding-window-global-attention",
    .slot = SLOT_MIXER,
    .variant = "longformer",
    .summary = "attention to a window around each token and to a few global tokens, which attend to all",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("window", 256, 0, 1 << 24, "tokens seen on either side"),
                       INTEGER_OPTION("dilation", 1, 1, 1 << 16, "distance between tokens of the window"),
                       INTEGER_OPTION("global_tokens", 1, 0, 1 << 16, "first tokens, global without a mask"),
                       FLAG_OPTION("output", 1, "a projection to the output follows")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "global"}, {"position", "none"}, {"time", "linear"},
                             {"causality", "bidirectional"}),
    .validate = validate_heads,
    .forward = forward,
};
