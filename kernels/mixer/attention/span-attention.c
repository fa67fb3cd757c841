/* Attention over a span with persistent vectors (adaptive-span; persistent-memory;
 * facebookresearch/adaptive-span). A token attends to the `span` tokens before it, not to itself, and to
 * `memories` learned keys and values of each head, in one softmax:
 *
 *     c_n = q_t . (k_{t-n} + e_n) / sqrt(d),   n = 1 .. span;     c_p = q_t . m_p;
 *         values v_{t-n} and sqrt(P) u_p
 *
 * e = key_pe is shared by heads and layers. Tokens before the first are zero vectors that are seen. With
 * `adaptive` the weights of the context are multiplied by clamp((z_h span - n + 1) / ramp + 1, 0, 1), z_h
 * learned, and all are divided by their sum + 1e-8 again: here the logarithm of the factor is added to the
 * scores, and the log sums with and without it say what the sum was. Queries see the span as a window; the
 * persistent keys stand before it as sinks. */
#include "block/kernel.h"
#include <math.h>

/* The rows [B, T + span - 1, H, d] of the tokens from `span` before the first to the last but one. */
static tensor *rows_before(struct scope *s, const char *name, tensor *x)
{
    int64_t span = option(s, "span"), length = x->shape[1];
    tensor *all;
    if (s->state) {
        tensor *past = state(s, name, 0, 4, SHAPE(x->shape[0], span, x->shape[2], x->shape[3]));
        all = tensor_concat(2, (tensor *[]){past, x}, 1);
        state_set(s, name, tensor_slice(all, 1, length, span));
    } else {
        all = tensor_pad(x, 1, span, 0, 0);
    }
    return tensor_slice(all, 1, 0, length + span - 1);
}

/* Persistent rows before x; theirs is [H, P, d]. */
static tensor *after_memories(tensor *memories, double scale, tensor *x)
{
    int64_t shape[] = {x->shape[0], memories->shape[1], x->shape[2], x->shape[3]};
    tensor *rows = tensor_broadcast(tensor_transpose(tensor_scale(memories, scale), 0, 1), 4, shape);
    return tensor_concat(2, (tensor *[]){rows, x}, 1);
}

/* log clamp((z_h span - n) / ramp + 1, 0, 1) for n = 0 .. span - 1: [H, 1, span]. */
static tensor *log_mask(struct scope *s)
{
    int64_t span = option(s, "span");
    double ramp = (double)option(s, "ramp");
    tensor *z =
        parameter(s, "adaptive_span.current_val", init_constant(0), 3, SHAPE(option(s, "heads"), 1, 1));
    tensor *n = tensor_range(s->graph, 0, span, 1);
    tensor *mask = tensor_subtract(tensor_scale(z, (double)span), n);
    return tensor_log(tensor_clamp(tensor_affine(mask, 1 / ramp, 1), 1e-30, 1));
}

/* What scores get by distance, [B, H, T, span]; the farthest first in key_pe. */
static tensor *by_distance(struct scope *s, tensor *q)
{
    int64_t d = q->shape[3];
    tensor *e = shared_parameter(s, "key_pe", init_normal(1), 3, SHAPE(1, d, option(s, "span")));
    tensor *bias = tensor_flip(tensor_matmul(tensor_transpose(q, 1, 2), e), 3);
    return tensor_scale(bias, 1 / sqrt((double)d));
}

/* Softmax over the span and the persistent vectors, which are farther than all and get nothing by
 * distance. */
static tensor *attend(struct scope *s, tensor *q, tensor *k, tensor *v, tensor *bias, tensor **log_sum)
{
    int64_t memories = option(s, "memories"), span = option(s, "span");
    struct attention_options options = {.causal = true,
                                        .offset = memories + span - 1,
                                        .window = span,
                                        .sinks = memories,
                                        .distance_bias = memories ? tensor_pad(bias, 3, 0, 1, 0) : bias,
                                        .log_sum = log_sum};
    return tensor_attention(q, k, v, &options);
}

static tensor *attend_adaptively(struct scope *s, tensor *q, tensor *k, tensor *v, tensor *bias)
{
    tensor *all, *kept;
    attend(s, q, k, tensor_slice(v, 3, 0, 1), bias, &all);
    tensor *y = attend(s, q, k, v, tensor_add(bias, log_mask(s)), &kept);
    tensor *sum = tensor_transpose(tensor_exp(tensor_subtract(kept, all)), 1, 2);
    tensor *factor = tensor_divide(sum, tensor_affine(sum, 1, 1e-8));
    return tensor_multiply(y, tensor_reshape(factor, 4, SHAPE(y->shape[0], y->shape[1], y->shape[2], 1)));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), memories = option(s, "memories"), d = head_dim(s);
    tensor *q = split_heads(linear(s, "proj_query", x, s->width, false), heads);
    tensor *k = rows_before(s, "key", split_heads(linear(s, "proj_key", x, s->width, false), heads));
    tensor *v = rows_before(s, "value", split_heads(linear(s, "proj_val", x, s->width, false), heads));
    if (memories) {
        double deviation = 1 / sqrt((double)d);
        tensor *m =
            parameter(s, "persistent_memory.key", init_normal(deviation), 3, SHAPE(heads, d, memories));
        tensor *u = parameter(s, "persistent_memory.val", init_normal(1 / sqrt((double)memories)), 3,
                              SHAPE(heads, memories, d));
        k = after_memories(tensor_transpose(m, 1, 2), sqrt((double)d), k);
        v = after_memories(u, sqrt((double)memories), v);
    }
    tensor *bias = by_distance(s, q);
    tensor *y = option(s, "adaptive") ? attend_adaptively(s, q, k, v, bias) : attend(s, q, k, v, bias, NULL);
    return linear(s, "proj_out", merge_heads(y), s->width, false);
}

KERNEL(span_attention) = {
    .name = "span-attention",
    .slot = SLOT_MIXER,
    .variant = "adaptive-span",
    .summary = "attention to a span of earlier tokens, which heads may learn, and to persistent vectors",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("span", 128, 1, 1 << 20, "earlier tokens seen"),
                       FLAG_OPTION("adaptive", 0, "heads learn how much of it they see"),
                       INTEGER_OPTION("ramp", 32, 1, 1 << 20, "tokens over which a learned span fades"),
                       INTEGER_OPTION("memories", 0, 0, 1 << 20, "persistent keys and values of a head")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "window"}, {"state", "window-cache"}, {"position", "relative"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
