/* Mixed chunk attention (flash, section 4, figure 4; lucidrains/FLASH-pytorch FLASH). Groups of g tokens:
 *
 *     quad_i = sum_{j <= i in i's group} f(q_i . k_j / g + b(i - j)) v_j,      f = relu^2 or laplace
 *     lin_i  = q'_i^T sum_{j in earlier groups} k'_j v_j^T / g
 *     y = (gate * (quad + lin)) Wo
 *
 * q, q', k, k' are four affine copies of one projection of x, rotated; (v, gate) = halves of silu(x Wh); b is T5's bucketed bias times
 * sqrt(key_dim). `shift` takes the first half of the channels from the token before. `conv` adds a causal convolution of v with one kernel
 * for all channels, and `castling` replaces quad + lin by v / 2 + (quad + lin) / pi at unit length: the augmentations of augla
 * (GATECH-EIC/Linearized-LLM). Of conv's K taps, centred, those after the present token are zero. */
#include "block/kernel.h"
#include <math.h>

/* x [B, T, C] in groups [B, groups, g, C], zeros at the end. */
static tensor *groups(tensor *x, int64_t g, int64_t count)
{
    tensor *padded = tensor_pad(x, 1, 0, count * g - x->shape[1], 0);
    return tensor_reshape(padded, 4, SHAPE(x->shape[0], count, g, x->shape[2]));
}

static tensor *rotated(struct scope *s, tensor *x)
{
    int64_t r = x->shape[2] < 32 ? x->shape[2] / 2 * 2 : 32, length = x->shape[1];
    tensor *angles = tensor_constant(s->graph, NULL, 2, SHAPE(length, r / 2));
    for (int64_t t = 0; t < length; t++)
        for (int64_t i = 0; i < r / 2; i++)
            angles->data[t * (r / 2) + i] =
                (real)fmod((double)(s->position + t) * pow(10000, -2.0 * (double)i / (double)r), 2 * M_PI);
    return merge_heads(tensor_rotary(split_heads(x, 1), angles, true));
}

/* b(i - j) within a group, [g, g]. */
static tensor *group_bias(struct scope *s, int64_t g)
{
    tensor *by_distance = bucketed_distance_bias(s, "rel_pos_bias.relative_attention_bias", 1, 32, 128, g);
    tensor *places = tensor_constant(s->graph, NULL, 2, SHAPE(g, g));
    for (int64_t i = 0; i < g; i++)
        for (int64_t j = 0; j < i; j++)
            places->data[i * g + j] = (real)(i - j);
    tensor *bias = tensor_rows(tensor_reshape(by_distance, 1, SHAPE(g)), places);
    return tensor_scale(bias, sqrt((double)option(s, "key_dim")));
}

static tensor *mixed(struct scope *s, tensor *const *copies, tensor *v)
{
    int64_t g = option(s, "group"), length = v->shape[1], count = (length + g - 1) / g;
    tensor *parts[4], *values = groups(v, g, count);
    for (int i = 0; i < 4; i++) /* quadratic q, linear q, quadratic k, linear k */
        parts[i] = groups(copies[i], g, count);
    tensor *scores = tensor_scale(tensor_matmul_nt(parts[0], parts[2]), 1 / (double)g);
    scores = tensor_add(scores, group_bias(s, g));
    tensor *weights = option_is(s, "activation", "laplace") ? laplace_activation(scores)
                                                            : tensor_square(tensor_relu(scores));
    tensor *near = tensor_matmul(tensor_multiply(weights, lower_triangle(s->graph, g, g, 0)), values);
    tensor *sums = tensor_scale(tensor_matmul_tn(parts[3], values), 1 / (double)g);
    tensor *far = tensor_matmul(parts[1], tensor_shift(tensor_cumulative_sum(sums, 1), 1, 1));
    tensor *y = tensor_reshape(tensor_add(near, far), 3, SHAPE(v->shape[0], count * g, v->shape[2]));
    return tensor_slice(y, 1, 0, length);
}

/* The first taps of a centred kernel [1, 1, K, 1], up to the present token, for every channel. */
static tensor *shared_convolution(struct scope *s, tensor *v)
{
    int64_t taps = option(s, "conv"), kept = taps / 2 + 1, channels = v->shape[2];
    tensor *weight = parameter(s, "dwconv.weight", init_linear(), 4, SHAPE(1, 1, taps, 1));
    tensor *row = tensor_slice(tensor_reshape(weight, 2, SHAPE(1, taps)), 1, 0, kept);
    return tensor_causal_convolution(v, tensor_broadcast(row, 2, SHAPE(channels, kept)), NULL, NULL);
}

static tensor *shifted(struct scope *s, tensor *x)
{
    int64_t half = (x->shape[2] + 1) / 2;
    tensor *parts[] = {token_shift(s, "shift", tensor_slice(x, 2, 0, half)),
                       tensor_slice(x, 2, half, x->shape[2] - half)};
    return tensor_concat(2, parts, 2);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t e = (int64_t)(option_real(s, "expand") * (double)s->width);
    if (option(s, "shift"))
        x = shifted(s, x);
    tensor *hidden = tensor_silu(linear(s, "to_hidden.0", x, 2 * e, true)), *copies[4];
    scaled_copies(s, "qk_offset_scale", tensor_silu(linear(s, "to_qk.0", x, option(s, "key_dim"), true)), 4,
                  copies);
    for (int i = 0; i < 4; i++)
        copies[i] = rotated(s, copies[i]);
    tensor *v = tensor_slice(hidden, 2, 0, e), *gate = tensor_slice(hidden, 2, e, e);
    tensor *o = mixed(s, copies, v);
    if (option(s, "castling"))
        o = tensor_l2_norm_max(tensor_add(tensor_scale(v, 0.5), tensor_scale(o, 1 / M_PI)), 1e-12);
    if (option(s, "conv"))
        o = tensor_add(o, shared_convolution(s, v));
    return linear(s, "to_out", tensor_multiply(gate, o), s->width, true);
}

KERNEL(mixed_chunk_attention) = {
    .name = "mixed-chunk-attention",
    .slot = SLOT_MIXER,
    .variant = "flash",
    .summary =
        "a gated unit with squared scores inside groups of tokens and linear attention to earlier groups",
    .options = OPTIONS(INTEGER_OPTION("group", 256, 1, 1 << 20, "tokens of a group"),
                       INTEGER_OPTION("key_dim", 128, 2, 4096, "channels of queries and keys"),
                       REAL_OPTION("expand", 2, 0.1, 16, "gated channels over width"),
                       CHOICE_OPTION("activation", "relu2|laplace", "of the scores"),
                       FLAG_OPTION("shift", 0, "half of the channels come from the token before"),
                       INTEGER_OPTION("conv", 0, 0, 255,
                                      "taps of a centred convolution of the values; 0: none"),
                       FLAG_OPTION("castling", 0, "values join and the result has unit length")),
    .characters = CHARACTERS({"mixing", "linear-attention"}, {"normalizer", "none"}, {"heads", "single"},
                             {"visibility", "all"}, {"state", "cache"}, {"update", "additive"},
                             {"decay", "none"}, {"position", "rotary"}, {"output-gate", "yes"},
                             {"time", "linear"}, {"decode-cost", "replay"}, {"causality", "causal"}),
    .forward = forward,
};
