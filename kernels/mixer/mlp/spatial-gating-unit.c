/* The gMLP block with its spatial gating unit (gmlp, section 2.1, eq. 3; causal form of lucidrains/g-mlp-gpt
 * gMLPBlock).
 *
 *     u = gelu(x W1 + b1),  (r, g) = halves of u,  g = LayerNorm(g)
 *     s_t = sum_{s<=t} W[h, t, s] g_s + b[h, t] (+ a tiny attention over x)          per head of channels
 *     y = (act(s) * r) W2 + b2
 *
 * With a window w, W [heads, w, 2 w] is shared by all windows and reaches one window back. Without one, W has
 * `length` rows and longer inputs are refused. */
#include "block/kernel.h"
#include <math.h>

/* A window that is no shorter than the sequence is none, as published. */
static int64_t window(const struct scope *s)
{
    return option(s, "window") < option(s, "length") ? option(s, "window") : 0;
}

static tensor *whole_sequence(struct scope *s, tensor *gate, tensor *weight, tensor *bias)
{
    int64_t heads = option(s, "heads"), batch = gate->shape[0], rows = gate->shape[1], width = gate->shape[2];
    tensor *seen = cache_append(s, "gate", gate, 0);
    int64_t columns = seen->shape[1];
    if (s->position + rows > option(s, "length"))
        kernel_fail(s, "it has weights for %lld positions only (option length)",
                    (long long)option(s, "length"));
    weight = tensor_slice(tensor_slice(weight, 1, s->position, rows), 2, 0, columns);
    weight = tensor_multiply(weight, lower_triangle(s->graph, rows, columns, s->position));
    tensor *by_head =
        tensor_transpose(tensor_reshape(seen, 4, SHAPE(batch, columns, heads, width / heads)), 1, 2);
    tensor *mixed = tensor_transpose(tensor_matmul(weight, by_head), 1, 2);
    tensor *shift = tensor_transpose(tensor_slice(bias, 1, s->position, rows), 0, 1);
    return merge_heads(tensor_add(mixed, tensor_reshape(shift, 3, SHAPE(rows, heads, 1))));
}

static tensor *windows(struct scope *s, tensor *gate, tensor *weight, tensor *bias)
{
    int64_t heads = option(s, "heads"), w = window(s), batch = gate->shape[0], rows = gate->shape[1];
    int64_t count = (rows + w - 1) / w, width = gate->shape[2] / heads;
    tensor *padded = tensor_pad(gate, 1, w, count * w - rows, 0);
    tensor *pairs =
        tensor_reshape(tensor_windows(padded, 1, 2 * w, w), 5, SHAPE(batch, count, 2 * w, heads, width));
    tensor *by_head = tensor_permute(pairs, (const int[]){0, 1, 3, 2, 4});
    tensor *mixed = tensor_matmul(tensor_multiply(weight, lower_triangle(s->graph, w, 2 * w, w)), by_head);
    mixed = tensor_add(mixed, tensor_reshape(bias, 3, SHAPE(heads, w, 1)));
    mixed = tensor_reshape(tensor_permute(mixed, (const int[]){0, 1, 3, 2, 4}), 3,
                           SHAPE(batch, count * w, heads * width));
    return tensor_slice(mixed, 1, 0, rows);
}

static tensor *tiny_attention(struct scope *s, tensor *x, int64_t outputs)
{
    int64_t d = option(s, "attention_dim");
    tensor *qkv = linear(s, "attn.to_qkv", x, 3 * d, false);
    tensor *parts[3];
    for (int i = 0; i < 3; i++)
        parts[i] = split_heads(tensor_slice(qkv, 2, i * d, d), 1);
    struct attention_options options = {.causal = true};
    return linear(s, "attn.to_out",
                  merge_heads(positioned_attention(s, parts[0], parts[1], parts[2], options)), outputs, true);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), w = window(s), rows = w ? w : option(s, "length");
    int64_t hidden = option_or(s, "hidden", 4 * s->width), half = hidden / 2;
    tensor *u = tensor_gelu(linear(s, "proj_in.0", x, hidden, true));
    tensor *gate = layer_norm(s, "sgu.norm", tensor_slice(u, 2, half, half), 1e-5);
    double bound = 1e-3 / (double)rows;
    tensor *weight =
        parameter(s, "sgu.weight", init_uniform(-bound, bound), 3, SHAPE(heads, rows, w ? 2 * w : rows));
    tensor *bias = parameter(s, "sgu.bias", init_constant(1), 2, SHAPE(heads, rows));
    tensor *mixed = w ? windows(s, gate, weight, bias) : whole_sequence(s, gate, weight, bias);
    if (option(s, "attention_dim"))
        mixed = tensor_add(mixed, tiny_attention(s, x, half));
    mixed = tensor_activation(mixed, option_choice(s, "activation"));
    return linear(s, "proj_out", tensor_multiply(mixed, tensor_slice(u, 2, 0, half)), s->width, true);
}

static tensor *step(struct scope *s, tensor *x)
{
    return window(s) ? replay_step(s, x) : forward(s, x);
}

static const char *validate(const struct scope *s)
{
    int64_t hidden = option_or(s, "hidden", 4 * s->width);
    if (hidden % 2 || hidden / 2 % option(s, "heads"))
        return "half of the hidden channels must be divisible by heads";
    return window(s) && option(s, "attention_dim") ? "window and attention_dim exclude each other" : NULL;
}

static const char *character(const struct scope *s, const char *name)
{
    if (!window(s))
        return NULL;
    return name[0] == 't' ? "linear" : name[0] == 'v' ? "window" : name[0] == 'd' ? "replay" : NULL;
}

KERNEL(spatial_gating_unit) = {
    .name = "spatial-gating-unit",
    .slot = SLOT_MIXER,
    .variant = "gmlp",
    .summary = "half of the channels, mixed over positions by a learned matrix, gates the other half",
    .options =
        OPTIONS(INTEGER_OPTION("length", 1024, 1, 1 << 20, "positions that have weights"),
                INTEGER_OPTION("heads", 1, 1, 1024, "heads, each with a matrix of its own"),
                INTEGER_OPTION("hidden", 0, 0, 1 << 20, "hidden channels; 0: 4 * width"),
                INTEGER_OPTION("window", 0, 0, 1 << 20, "positions of a window; 0: the whole sequence"),
                INTEGER_OPTION("attention_dim", 0, 0, 4096, "channels of a tiny attention added; 0: none"),
                CHOICE_OPTION("activation", "identity|tanh|gelu|silu|relu", "of the gate")),
    .characters = CHARACTERS({"mixing", "learned-matrix"}, {"normalizer", "none"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"position", "absolute"},
                             {"output-gate", "yes"}, {"time", "quadratic"}, {"decode-cost", "linear"},
                             {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = step,
};
