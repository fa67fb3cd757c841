/* Mixed chunk attention (flash, section 3.2, figure 4; lucidrains/FLASH-pytorch FLASH). Groups of g tokens:
 *
 *     quad_i = sum_{j <= i in i's group} f(q_i . k_j / g + b(i - j)) v_j,      f = relu^2 or laplace
 *     lin_i  = q'_i^T sum_{j in earlier groups} k'_j v_j^T / g
 *     y = (gate * (quad + lin)) Wo
 *
 * q, q', k, k' are four affine copies of one projection of x, rotated; (v, gate) = halves of silu(x Wh); b is
 * T5's bucketed bias times sqrt(key_dim). `shift` takes the first half of the channels from the token before.
 * `conv` adds a causal convolution of v with one kernel for all channels, and `castling` replaces quad + lin
 * by v / 2 + (quad + lin) / pi at unit length: the augmentations of augla (GATECH-EIC/Linearized-LLM). Of
 * conv's K taps, centred, those after the present token are zero. Without `causal` quad is over the whole
 * group and lin_i over all tokens, divided by their number. */
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
    int64_t pairs = x->shape[2] < 32 ? x->shape[2] / 2 : 16;
    tensor *angles = rotary_angles(s, s->position, x->shape[1], pairs, 10000);
    return merge_heads(tensor_rotary(split_heads(x, 1), angles, true));
}

/* f(q k^T / g + b), 0 where hidden: [.., rows, columns] for the last rows of the columns' tokens. */
static tensor *near_weights(struct scope *s, tensor *q, tensor *k, int64_t rows, int64_t columns)
{
    bool causal = option(s, "causal");
    tensor *table =
        parameter(s, "rel_pos_bias.relative_attention_bias.weight", init_normal(0.02), 2, SHAPE(32, 1));
    tensor *bias = bucketed_bias(table, 128, causal, rows, columns);
    tensor *scores = tensor_scale(tensor_matmul_nt(q, k), 1 / (double)option(s, "group"));
    scores = tensor_add(scores, tensor_scale(bias, sqrt((double)option(s, "key_dim"))));
    tensor *weights = option_is(s, "activation", "laplace") ? laplace_activation(scores)
                                                            : tensor_square(tensor_relu(scores));
    return causal && rows > 1 ? tensor_multiply(weights, lower_triangle(s->graph, rows, columns, 0))
                              : weights;
}

static tensor *joined(struct scope *s, tensor *near, tensor *far)
{
    bool local = option(s, "local"), global = option(s, "global");
    return local && global ? tensor_add(near, far) : local ? near : far;
}

/* `copies` are quadratic q, linear q, quadratic k, linear k. */
static tensor *mixed(struct scope *s, tensor *const *copies, tensor *v)
{
    int64_t g = option(s, "group"), length = v->shape[1], count = (length + g - 1) / g;
    tensor *parts[4], *values = groups(v, g, count), *sums;
    for (int i = 0; i < 4; i++)
        parts[i] = groups(copies[i], g, count);
    tensor *near = tensor_matmul(near_weights(s, parts[0], parts[2], g, g), values);
    sums = tensor_matmul_tn(parts[3], values);
    if (option(s, "causal"))
        sums = tensor_scale(tensor_shift(tensor_cumulative_sum(sums, 1), 1, 1), 1 / (double)g);
    else
        sums = tensor_scale(tensor_sum(sums, 1), 1 / (double)length);
    tensor *y = joined(s, near, tensor_matmul(parts[1], sums));
    return tensor_slice(tensor_reshape(y, 3, SHAPE(v->shape[0], count * g, v->shape[2])), 1, 0, length);
}

/* One token over its group's rows so far and the sum over earlier groups. */
static tensor *mixed_step(struct scope *s, tensor *const *copies, tensor *v)
{
    int64_t g = option(s, "group"), inside = s->position % g + 1;
    tensor *term = tensor_scale(tensor_matmul_tn(copies[3], v), 1 / (double)g);
    tensor *far = sum_of_earlier_groups(s, "far", term, g);
    tensor *k = recent_rows(s, "k", copies[2], g, inside), *values = recent_rows(s, "v", v, g, inside);
    tensor *near = tensor_matmul(near_weights(s, copies[0], k, 1, inside), values);
    return joined(s, near, tensor_matmul(copies[1], far));
}

/* The first taps of a centred kernel [1, 1, K, 1], up to the present token, for every channel. */
static tensor *shared_convolution(struct scope *s, tensor *v)
{
    int64_t taps = option(s, "conv"), kept = taps / 2 + 1, channels = v->shape[2];
    tensor *weight = parameter(s, "dwconv.weight", init_linear(), 4, SHAPE(1, 1, taps, 1));
    tensor *row = tensor_slice(tensor_reshape(weight, 2, SHAPE(1, taps)), 1, 0, kept);
    return kept_convolution(s, "dwconv", v, tensor_broadcast(row, 2, SHAPE(channels, kept)), NULL);
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
    tensor *o = (s->state ? mixed_step : mixed)(s, copies, v);
    if (option(s, "castling"))
        o = tensor_l2_norm_max(tensor_add(tensor_scale(v, 0.5), tensor_scale(o, 1 / M_PI)), 1e-12);
    if (option(s, "conv"))
        o = tensor_add(o, shared_convolution(s, v));
    return linear(s, "to_out", tensor_multiply(gate, o), s->width, true);
}

static tensor *step(struct scope *s, tensor *x)
{
    return step_by_token(s, x, forward);
}

static const char *validate(const struct scope *s)
{
    return option(s, "local") || option(s, "global") ? NULL : "neither local nor global: nothing is seen";
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
                       FLAG_OPTION("local", 1, "the group's own tokens are seen"),
                       FLAG_OPTION("global", 1, "earlier groups are seen"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen"),
                       FLAG_OPTION("shift", 0, "half of the channels come from the token before"),
                       INTEGER_OPTION("conv", 0, 0, 255,
                                      "taps of a centred convolution of the values; 0: none"),
                       FLAG_OPTION("castling", 0, "values join and the result has unit length")),
    .characters = CHARACTERS({"mixing", "linear-attention"}, {"normalizer", "none"}, {"heads", "single"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "none"}, {"position", "rotary"}, {"output-gate", "yes"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .character = causality_by_option,
    .validate = validate,
    .forward = forward,
    .step = step,
};
