/* Nystrom attention (nystromformer; mlpen/Nystromformer NystromAttention). The m landmarks q~, k~ are the
 * means of q and k over consecutive segments of T / m tokens:
 *
 *     o = softmax(q k~^T) A^+ softmax(q~ k^T) v,   A = softmax(q~ k~^T)           all scores over sqrt(d)
 *
 * The pseudo-inverse A^+ is six iterations of order four from A^T / c, c the largest column sum: of all
 * matrices of the batch (`start` batch, as first published), or of each its own. Optional: a depthwise
 * convolution of v along the tokens is added, with taps for each head. As published, T must be divisible by
 * m, and m = T is exact softmax attention. Landmarks are means over the whole sequence: not causal. */
#include "head-convolution.h"
#include <math.h>

static tensor *segment_means(tensor *x, int64_t count)
{
    int64_t batch = x->shape[0], segment = x->shape[1] / count, heads = x->shape[2], d = x->shape[3];
    tensor *segments = tensor_reshape(x, 5, SHAPE(batch, count, segment, heads, d));
    return tensor_reshape(tensor_mean(segments, 2), 4, SHAPE(batch, count, heads, d));
}

/* [B, H, m, m] */
static tensor *landmark_inverse(struct scope *s, tensor *q, tensor *k)
{
    tensor *scores = tensor_matmul_nt(tensor_transpose(q, 1, 2), tensor_transpose(k, 1, 2));
    tensor *A = tensor_softmax(tensor_scale(scores, 1 / sqrt((double)q->shape[3])), 3);
    tensor *c = tensor_max(tensor_sum(A, 2), 3);
    if (option_is(s, "start", "batch"))
        c = tensor_max(tensor_max(c, 1), 0);
    return iterated_inverse(A, tensor_divide(tensor_transpose(A, 2, 3), c), 4, option(s, "iterations"));
}

static tensor *by_landmarks(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t count = option(s, "landmarks");
    if (q->shape[1] % count)
        kernel_fail(s, "%lld tokens do not divide into %lld segments (option landmarks)",
                    (long long)q->shape[1], (long long)count);
    tensor *q_means = segment_means(q, count), *k_means = segment_means(k, count);
    tensor *seen = tensor_attention(q_means, k, v, &(struct attention_options){0});
    tensor *values = tensor_matmul(landmark_inverse(s, q_means, k_means), tensor_transpose(seen, 1, 2));
    return tensor_attention(q, k_means, tensor_transpose(values, 1, 2), &(struct attention_options){0});
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = head_dim(s);
    tensor *q = split_heads(linear(s, "W_q", x, heads * d, true), heads);
    tensor *k = split_heads(linear(s, "W_k", x, heads * d, true), heads);
    tensor *v = split_heads(linear(s, "W_v", x, heads * d, true), heads);
    tensor *o = option(s, "landmarks") == x->shape[1]
                    ? tensor_attention(q, k, v, &(struct attention_options){0})
                    : by_landmarks(s, q, k, v);
    if (option(s, "conv"))
        o = tensor_add(o, head_convolution(s, v, option(s, "conv")));
    return linear(s, "ff", merge_heads(o), s->width, true);
}

/* The first iterate's scale, as far as the iterations do not forget it. */
static double batch_coupling(const struct scope *s)
{
    return option_is(s, "start", "batch") ? 0.05 : 0;
}

static const char *validate(const struct scope *s)
{
    if (validate_heads(s))
        return validate_heads(s);
    return option(s, "conv") && option(s, "conv") % 2 == 0 ? "conv must be odd, or 0 for none" : NULL;
}

KERNEL(nystrom_attention) = {
    .name = "nystrom-attention",
    .slot = SLOT_MIXER,
    .variant = "nystromformer",
    .summary = "softmax attention through landmarks, by the Nystrom method with an iterated pseudo-inverse",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       INTEGER_OPTION("landmarks", 16, 1, 1 << 16, "segments whose means are landmarks"),
                       INTEGER_OPTION("iterations", 6, 0, 64, "of the pseudo-inverse"),
                       CHOICE_OPTION("start", "matrix|batch",
                                     "whose largest column sum scales the first iterate"),
                       INTEGER_OPTION("conv", 0, 0, 1023, "taps of the convolution of values; 0: none")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "landmark"}, {"state", "none"}, {"time", "linear"},
                             {"causality", "bidirectional"}),
    .batch_coupling = batch_coupling,
    .validate = validate,
    .forward = forward,
};
