/* Local attention in windows (lucidrains/local-attention, LocalMHA with LocalAttention; local-attention).
 *
 * A query of window u (of w positions) sees the keys of windows u - b .. u up to itself, b = look_backward;
 * with `exact` only the w b newest before it. q and k turn by rotary angles (only t - s matters), q being
 * scaled first. Options: queries and keys of unit length with trained scales (qk_rmsnorm), xpos' decay of the
 * rotated pairs, a gate per head, a norm in front.
 *
 * Without xpos the windows are a mask of the attention primitive. xpos scales a key by its place in the
 * query's span, so there each window gathers its keys. */
#include "block/kernel.h"
#include <math.h>

static void xpos_scales(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)s, (void)rank;
    double d = 2 * (double)shape[0];
    for (int64_t i = 0; i < shape[0]; i++)
        values[i] = (real)((2 * (double)i + 0.4 * d) / (1.4 * d));
}

static tensor *angles(struct scope *s, int64_t start, int64_t length)
{
    int64_t pairs = head_dim(s) / 2;
    tensor *frequencies =
        buffer(s, "attn_fn.rel_pos.inv_freq", init_function(fill_rotary_frequencies), 1, SHAPE(pairs));
    tensor *t = tensor_reshape(tensor_range(s->graph, start, length, 1), 2, SHAPE(length, 1));
    return tensor_multiply(t, tensor_reshape(frequencies, 2, SHAPE(1, pairs)));
}

/* scale^(sign (p - L / 2) / base) for the places p of the span that start at `start`: [length, 1, d]. */
static tensor *xpos_factor(struct scope *s, tensor *scale, int64_t start, int64_t length, double sign)
{
    int64_t w = option(s, "window"), span = (option(s, "look_backward") + 1) * w, d = head_dim(s);
    double base = option(s, "xpos_scale_base") ? (double)option(s, "xpos_scale_base") : (double)(w / 2);
    tensor *p = tensor_range(s->graph, start - span / 2, length, 1);
    tensor *exponent = tensor_scale(tensor_reshape(p, 2, SHAPE(length, 1)), sign / base);
    tensor *half =
        tensor_exp(tensor_multiply(exponent, tensor_reshape(tensor_log(scale), 2, SHAPE(1, d / 2))));
    return tensor_reshape(tensor_concat(2, (tensor *[]){half, half}, 1), 3, SHAPE(length, 1, d));
}

static tensor *by_mask(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t w = option(s, "window"), back = option(s, "look_backward");
    tensor *turn = angles(s, s->position, q->shape[1]);
    int64_t past = option(s, "exact") ? w * back : w * (back + 1) - 1;
    k = cache_append(s, "key", tensor_rotary(k, turn, false), past);
    v = cache_append(s, "value", v, past);
    int64_t offset = k->shape[1] - q->shape[1];
    struct attention_options options = {.scale = 1, .causal = true, .offset = offset};
    if (option(s, "exact")) {
        options.window = w * back + 1;
    } else {
        options.block = w;
        options.look_backward = back;
        options.start = s->position - offset;
    }
    return tensor_attention(tensor_rotary(q, turn, false), k, v, &options);
}

/* x [B, T, H, d] as windows [B * n, (look + 1) w, H, d], zeros before the start and after the end. */
static tensor *spans(tensor *x, int64_t w, int64_t look)
{
    int64_t count = (x->shape[1] + w - 1) / w;
    tensor *padded = tensor_pad(x, 1, look * w, count * w - x->shape[1], 0);
    tensor *all = tensor_windows(padded, 1, (look + 1) * w, w);
    return tensor_reshape(all, 4, SHAPE(x->shape[0] * count, (look + 1) * w, x->shape[2], x->shape[3]));
}

static tensor *by_windows(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t w = option(s, "window"), back = option(s, "look_backward"), span = (back + 1) * w;
    int64_t batch = q->shape[0], length = q->shape[1], heads = q->shape[2], d = q->shape[3],
            count = (length + w - 1) / w;
    tensor *scale = buffer(s, "attn_fn.rel_pos.scale", init_function(xpos_scales), 1, SHAPE(d / 2));
    tensor *turn = angles(s, 0, span);
    q = tensor_rotary(spans(q, w, 0), tensor_slice(turn, 0, back * w, w), false);
    k = tensor_rotary(spans(k, w, back), turn, false);
    q = tensor_multiply(q, xpos_factor(s, scale, back * w, w, 1));
    k = tensor_multiply(k, xpos_factor(s, scale, 0, span, -1));
    tensor *before =
        tensor_constant(s->graph, NULL, 5, SHAPE(batch, count, 1, 1, span)); /* -inf before the start */
    for (int64_t i = 0; i < batch * count; i++)
        for (int64_t j = 0; j < (back - i % count) * w; j++)
            before->data[i * span + j] = -INFINITY;
    struct attention_options options = {.scale = 1, .causal = true, .offset = back * w};
    options.bias = tensor_reshape(before, 4, SHAPE(batch * count, 1, 1, span));
    if (option(s, "exact"))
        options.window = w * back + 1;
    tensor *y = tensor_attention(q, k, spans(v, w, back), &options);
    return tensor_slice(tensor_reshape(y, 4, SHAPE(batch, count * w, heads, d)), 1, 0, length);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = head_dim(s);
    if (option(s, "prenorm"))
        x = layer_norm(s, "norm", x, 1e-5);
    tensor *qkv = linear(s, "to_qkv", x, 3 * heads * d, false), *parts[3];
    for (int i = 0; i < 3; i++)
        parts[i] = split_heads(tensor_slice(qkv, 2, i * heads * d, heads * d), heads);
    double scale = 1 / sqrt((double)d);
    if (option(s, "qk_rmsnorm")) {
        scale = option_real(s, "qk_scale");
        parts[0] = tensor_multiply(tensor_l2_norm_max(parts[0], 1e-12),
                                   parameter(s, "q_scale", init_constant(1), 1, SHAPE(d)));
        parts[1] = tensor_multiply(tensor_l2_norm_max(parts[1], 1e-12),
                                   parameter(s, "k_scale", init_constant(1), 1, SHAPE(d)));
    }
    parts[0] = tensor_scale(parts[0], scale);
    tensor *y = (option(s, "xpos") ? by_windows : by_mask)(s, parts[0], parts[1], parts[2]);
    if (option(s, "gate")) {
        tensor *gate = tensor_sigmoid(linear(s, "to_v_gate.0", x, heads, true));
        y = tensor_multiply(y, tensor_reshape(gate, 4, SHAPE(x->shape[0], x->shape[1], heads, 1)));
    }
    if (!option(s, "xpos")) /* stored by the published module all the same */
        buffer(s, "attn_fn.rel_pos.scale", init_function(xpos_scales), 1, SHAPE(d / 2));
    return linear(s, "to_out", merge_heads(y), s->width, false);
}

static tensor *step(struct scope *s, tensor *x)
{
    return option(s, "xpos") ? replay_step(s, x) : forward(s, x);
}

static const char *character(const struct scope *s, const char *name)
{
    return name[0] == 'd' && option(s, "xpos") ? "replay" : NULL;
}

static const char *validate(const struct scope *s)
{
    if (validate_heads(s))
        return validate_heads(s);
    return head_dim(s) % 2 ? "a head needs an even number of channels to turn" : NULL;
}

KERNEL(local_attention) = {
    .name = "local-attention",
    .slot = SLOT_MIXER,
    .variant = "local-attention",
    .summary = "attention within a window of positions and a few windows before it",
    .options =
        OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                INTEGER_OPTION("window", 128, 1, 1 << 24, "positions of a window"),
                INTEGER_OPTION("look_backward", 1, 0, 64, "windows seen before the query's own"),
                FLAG_OPTION("exact", 0, "every query sees equally many, window * look_backward before it"),
                FLAG_OPTION("qk_rmsnorm", 0, "queries and keys of unit length"),
                REAL_OPTION("qk_scale", 8, 0, 1e4, "scale of the scores under qk_rmsnorm"),
                FLAG_OPTION("xpos", 0, "rotations decay with distance"),
                INTEGER_OPTION("xpos_scale_base", 0, 0, 1 << 24, "distance of one decay; 0: window / 2"),
                FLAG_OPTION("gate", 0, "each head is gated by a sigmoid of the input"),
                FLAG_OPTION("prenorm", 0, "a layer norm stands in front")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "window"}, {"state", "window-cache"}, {"position", "rotary"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = step,
};
