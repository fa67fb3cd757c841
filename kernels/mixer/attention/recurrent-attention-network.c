/* Recurrent attention network (ran, section 3; 4AI/RAN rannet/ran.py). Windows of tokens, each behind a cell
 * c [1, D] that sums up those before:
 *
 *     u = LN([c ; x]),  [c' ; y] = N(attention(u)),
 *         the next window's c = LN(c' + GLU(p)) with the c' p of the window before,
 *     attention:  q, k, v = silu of linear maps with rotary positions, LN(silu(o) + GLU(u))
 *     out = LN(y), or with `review` attention of y to the cells c' of all windows
 *
 * N(u) = (u - mean) / sqrt(mean(u^2) + 1e-7), as published not the centred second moment; LN has a scale and
 * shift after it. The first window hands on its c' as it is. A last window of fewer than `least` tokens joins
 * the one before. With that, or with `review`, what comes later enters: a step replays. */
#include "block/kernel.h"
#include <string.h>

static tensor *plain_norm(tensor *x)
{
    tensor *size = tensor_reciprocal_sqrt(tensor_affine(tensor_mean(tensor_square(x), -1), 1, 1e-7));
    return tensor_multiply(tensor_subtract(x, tensor_mean(x, -1)), size);
}

static tensor *norm(struct scope *s, const char *name, tensor *x)
{
    tensor *gamma = parameter(s, part_name(s, "%s.gamma", name), init_constant(1), 1, SHAPE(s->width));
    tensor *beta = parameter(s, part_name(s, "%s.beta", name), init_constant(0), 1, SHAPE(s->width));
    return tensor_add(tensor_multiply(plain_norm(x), gamma), beta);
}

static tensor *gated(struct scope *s, const char *name, tensor *x)
{
    tensor *gate = linear(s, part_name(s, "%s.dense_g", name), x, s->width, true);
    return tensor_multiply(linear(s, part_name(s, "%s.dense_t", name), x, s->width, true),
                           tensor_sigmoid(gate));
}

static tensor *activated(struct scope *s, const char *name, const char *part, tensor *x, int64_t outputs)
{
    return tensor_activation(linear(s, part_name(s, "%s.%s", name, part), x, outputs, true),
                             option_choice(s, "activation"));
}

static tensor *attend(struct scope *s, tensor *u)
{
    static const char name[] = "encode_attn";
    int64_t heads = option(s, "heads"), d = head_dim(s), rows = u->shape[1];
    tensor *q = split_heads(activated(s, name, "q", u, heads * d), heads);
    tensor *k = split_heads(activated(s, name, "k", u, heads * d), heads);
    tensor *v = split_heads(activated(s, name, "v", u, heads * d), heads);
    tensor *angles = rotary_angles(s, 0, rows, d / 2, 10000);
    struct attention_options options = {.causal = option(s, "causal")};
    tensor *o = tensor_attention(tensor_rotary(q, angles, true), tensor_rotary(k, angles, true), v, &options);
    o = activated(s, name, "o", merge_heads(o), s->width);
    return norm(s, "encode_attn.layernorm", tensor_add(o, gated(s, "encode_attn.glu", u)));
}

/* Outputs look at the cells of all windows. */
static tensor *review(struct scope *s, tensor *y, tensor *cells)
{
    static const char name[] = "memory_review";
    tensor *q = activated(s, name, "q", y, s->width);
    tensor *k = split_heads(activated(s, name, "k", cells, s->width), 1);
    tensor *v = split_heads(activated(s, name, "v", cells, s->width), 1);
    tensor *o = merge_heads(tensor_attention(split_heads(q, 1), k, v, &(struct attention_options){0}));
    o = activated(s, name, "o", o, s->width);
    return norm(s, "memory_review.layernorm", tensor_add(o, gated(s, "memory_review.glu", q)));
}

static tensor *first_cell(struct scope *s, int64_t batch)
{
    tensor *nothing = tensor_full(s->graph, 0, 3, SHAPE(batch, 1, s->width));
    tensor *start = linear(s, "cell_initializer", nothing, s->width, false);
    return norm(s, "cell_initializer_layernorm", tensor_silu(start));
}

static tensor *window(struct scope *s, tensor *x)
{
    tensor *cell = carried(s, "cell"), *before = carried(s, "raw cell");
    if (!cell)
        cell = first_cell(s, x->shape[0]);
    tensor *o = attend(s, norm(s, "concat_layernorm", tensor_concat(2, (tensor *[]){cell, x}, 1)));
    tensor *raw = plain_norm(tensor_slice(o, 1, 0, 1));
    tensor *mixed = gated(s, "cell_glu", before ? before : raw);
    mixed = norm(s, "cell_residual_layernorm", tensor_add(raw, mixed));
    carry(s, "raw cell", raw);
    carry(s, "cell", before ? mixed : raw);
    if (option(s, "review")) {
        tensor *cells = carried(s, "cells");
        carry(s, "cells", cells ? tensor_concat(2, (tensor *[]){cells, raw}, 1) : raw);
    }
    return plain_norm(tensor_slice(o, 1, 1, x->shape[1]));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t piece = option(s, "segment"), length = x->shape[1], last = (length - 1) % piece + 1,
            whole = length;
    if (!s->state && last < option(s, "least") && length > last)
        whole = length - last - piece; /* the two last windows are one */
    struct scope inside = *s;
    tensor *y = NULL;
    if (whole > 0)
        y = by_segments(&inside, tensor_slice(x, 1, 0, whole), piece, window);
    if (whole < length) {
        tensor *rest = tensor_slice(x, 1, whole, length - whole);
        if (y) {
            rest = window(&inside, rest);
            y = tensor_concat(2, (tensor *[]){y, rest}, 1);
        } else {
            y = by_segments(&inside, rest, length, window);
        }
    }
    if (!s->state)
        further_output(s, "last_cell",
                       tensor_reshape(carried(&inside, "cell"), 2, SHAPE(x->shape[0], s->width)));
    return option(s, "review") ? review(s, y, carried(&inside, "cells")) : norm(s, "memory_review", y);
}

static bool looks_ahead(const struct scope *s)
{
    return option(s, "review") || option(s, "least") > 1;
}

static tensor *step(struct scope *s, tensor *x)
{
    return looks_ahead(s) ? replay_step(s, x) : forward(s, x);
}

static const char *character(const struct scope *s, const char *name)
{
    if (strcmp(name, "causality") == 0 && (!option(s, "causal") || option(s, "review")))
        return "bidirectional";
    if (strcmp(name, "causality") == 0 && looks_ahead(s))
        return "approximate";
    return strcmp(name, "decode-cost") == 0 && looks_ahead(s) ? "replay" : NULL;
}

static const char *validate(const struct scope *s)
{
    return validate_heads(s) ? validate_heads(s) : head_dim(s) % 2 ? "head_dim must be even" : NULL;
}

KERNEL(recurrent_attention_network) = {
    .name = "recurrent-attention-network",
    .slot = SLOT_MIXER,
    .variant = "ran",
    .summary = "attention inside windows, each behind a cell that sums up those before",
    .options = OPTIONS(
        INTEGER_OPTION("segment", 64, 1, 1 << 24, "tokens of a window"),
        INTEGER_OPTION("least", 1, 1, 1 << 24, "tokens of the last window, or it joins the one before"),
        INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
        INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
        FLAG_OPTION("causal", 1, "later tokens of a window are not seen"),
        FLAG_OPTION("review", 0, "outputs attend to the cells of all windows"),
        CHOICE_OPTION("activation", "silu|relu|gelu|gelu_tanh|tanh|identity", "of the projections")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "block"}, {"memory", "tokens"}, {"state", "segments"},
                             {"position", "rotary"}, {"time", "linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = step,
};
