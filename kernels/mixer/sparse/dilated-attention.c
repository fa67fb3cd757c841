/* LongNet's dilated attention (longnet, sections 2.2 and 2.3; microsoft/torchscale DilatedAttention).
 *
 * For each pair of a segment length w and a dilation r the sequence is cut into segments, the heads into r
 * groups of ceil(H / r), and a head of group g keeps the tokens of a segment whose index in it is g modulo r.
 * Attention among those gives o and z = log sum exp; a token that a head leaves out has o = 0 and no weight.
 * The configurations are mixed by what they summed:
 *
 *     y_t = sum_i exp(z_i) / (sum_j exp(z_j)) o_i
 *         head by head, the weights being constants of the gradient as published
 *
 * then an optional norm and the output's projection. The last segment is filled up with keys and values of
 * zero, which tokens see where later ones are not hidden. A sequence shorter than w is one segment. */
#include "block/kernel.h"

/* One configuration, over one group of heads. */
struct dilation {
    int64_t segment, stride, first; /* which tokens of a segment */
    int64_t head, heads;            /* the group */
};

static const real LEFT_OUT = -1e8; /* z of a token that a head leaves out */

static struct dilation dilation_of(struct scope *s, int i, int64_t group)
{
    int count;
    int64_t heads = option(s, "heads");
    struct dilation d = {.segment = (int64_t)option_list(s, "segments", &count)[i],
                         .stride = (int64_t)option_list(s, "dilations", &count)[i],
                         .first = group};
    int64_t each = (heads + d.stride - 1) / d.stride;
    d.head = group * each;
    d.heads = d.head >= heads ? 0 : d.head + each > heads ? heads - d.head : each;
    return d;
}

/* The group's share of x [B, T, H, e]: [B segments, tokens kept, heads, e]. */
static tensor *thinned(tensor *x, struct dilation d)
{
    int64_t B = x->shape[0], T = x->shape[1], e = x->shape[3], count = (T + d.segment - 1) / d.segment;
    int64_t kept = (d.segment + d.stride - 1) / d.stride;
    x = tensor_pad(tensor_slice(x, 2, d.head, d.heads), 1, 0, count * d.segment - T, 0);
    x = tensor_reshape(x, 4, SHAPE(B * count, d.segment, d.heads, e));
    x = tensor_pad(x, 1, 0, kept * d.stride - d.segment, 0);
    return tensor_slice_step(x, 1, d.first, kept, d.stride);
}

/* Back among all tokens, [B, length, heads, e], `filling` at those left out. */
static tensor *spread(tensor *x, struct dilation d, int64_t length, real filling)
{
    int64_t rows = x->shape[0], kept = x->shape[1], e = x->shape[3],
            count = (length + d.segment - 1) / d.segment;
    x = tensor_reshape(x, 5, SHAPE(rows, kept, 1, d.heads, e));
    x = tensor_reshape(tensor_pad(x, 2, d.first, d.stride - 1 - d.first, (double)filling), 4,
                       SHAPE(rows, kept * d.stride, d.heads, e));
    x = tensor_reshape(tensor_slice(x, 1, 0, d.segment), 4,
                       SHAPE(rows / count, count * d.segment, d.heads, e));
    return tensor_slice(x, 1, 0, length);
}

/* log_sum [B, H, T] as [B, T, H, 1], a constant. */
static tensor *constant_sums(tensor *log_sum)
{
    tensor *z = tensor_transpose(tensor_stop_gradient(log_sum), 1, 2);
    return tensor_reshape(z, 4, SHAPE(z->shape[0], z->shape[1], z->shape[2], 1));
}

static tensor *whole_group(struct scope *s, tensor *q, tensor *k, tensor *v, struct dilation d, tensor **z)
{
    int64_t length = q->shape[1];
    d.segment = d.segment < length ? d.segment : length;
    tensor *log_sum;
    struct attention_options options = {.causal = option(s, "causal"), .log_sum = &log_sum};
    tensor *o = tensor_attention(thinned(q, d), thinned(k, d), thinned(v, d), &options);
    *z = spread(constant_sums(log_sum), d, length, LEFT_OUT);
    return spread(o, d, length, 0);
}

/* The same for one query at position t; k and v are those from position `start` on. */
static tensor *group_at(tensor *q, tensor *k, tensor *v, int64_t t, int64_t start, struct dilation d,
                        tensor **z)
{
    int64_t from = t / d.segment * d.segment + d.first, B = q->shape[0];
    if ((t - from) % d.stride || t < from) {
        *z = tensor_full(q->graph, (double)LEFT_OUT, 4, SHAPE(B, 1, d.heads, 1));
        return tensor_full(q->graph, 0, 4, SHAPE(B, 1, d.heads, v->shape[3]));
    }
    tensor *kept[2] = {k, v};
    for (int i = 0; i < 2; i++)
        kept[i] = tensor_slice_step(tensor_slice(kept[i], 2, d.head, d.heads), 1, from - start,
                                    (t - from) / d.stride + 1, d.stride);
    tensor *log_sum;
    struct attention_options options = {.log_sum = &log_sum};
    tensor *o = tensor_attention(tensor_slice(q, 2, d.head, d.heads), kept[0], kept[1], &options);
    *z = constant_sums(log_sum);
    return o;
}

/* All configurations of q, whose first token stands at `position`, mixed. k and v begin at `start`. */
static tensor *mix(struct scope *s, tensor *q, tensor *k, tensor *v, int64_t position, int64_t start,
                   bool whole)
{
    int count;
    option_list(s, "segments", &count);
    tensor *o[OPTION_LIST_MAXIMUM], *z[OPTION_LIST_MAXIMUM];
    for (int i = 0; i < count; i++) {
        tensor *groups[OPTION_LIST_MAXIMUM], *sums[OPTION_LIST_MAXIMUM];
        int parts = 0;
        for (struct dilation d = dilation_of(s, i, 0); d.heads && d.first < d.stride;
             d = dilation_of(s, i, d.first + 1), parts++)
            groups[parts] = whole ? whole_group(s, q, k, v, d, &sums[parts])
                                  : group_at(q, k, v, position, start, d, &sums[parts]);
        o[i] = tensor_concat(parts, groups, 2);
        z[i] = tensor_concat(parts, sums, 2);
    }
    tensor *shares = tensor_softmax(tensor_concat(count, z, 3), 3), *y = NULL;
    for (int i = 0; i < count; i++) {
        tensor *term = tensor_multiply(o[i], tensor_slice(shares, 3, i, 1));
        y = y ? tensor_add(y, term) : term;
    }
    return y;
}

/* Keys as cached, turned here if they turn differently at every step. */
static void rotate_anew(struct scope *s, tensor **q, tensor **k, int64_t start)
{
    struct scope *position = s->position_scope;
    *q = position->kernel->rotate(position, *q, false, s->position);
    *k = position->kernel->rotate(position, *k, true, start);
}

static tensor *steps(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int count;
    const double *segments = option_list(s, "segments", &count);
    int64_t longest = 1, length = q->shape[1];
    struct scope *position = s->position_scope;
    bool anew = position && position->kernel->rotates_anew && position->kernel->rotates_anew(position);
    if (!anew)
        rotate_query_and_key(s, &q, &k);
    for (int i = 0; i < count; i++)
        longest = segments[i] > (double)longest ? (int64_t)segments[i] : longest;
    if (longest > 1) {
        k = cache_append(s, "key", k, longest - 1);
        v = cache_append(s, "value", v, longest - 1);
    }
    int64_t start = s->position + length - k->shape[1];
    if (anew)
        rotate_anew(s, &q, &k, start);
    struct pieces rows = {0};
    for (int64_t i = 0; i < length; i++)
        add_piece(&rows, mix(s, tensor_slice(q, 1, i, 1), k, v, s->position + i, start, false));
    return join_pieces(&rows, 1);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads");
    tensor *q = split_heads(linear(s, "q_proj", x, s->width, true), heads);
    tensor *k = split_heads(linear(s, "k_proj", x, s->width, true), heads);
    tensor *v = split_heads(linear(s, "v_proj", x, s->width, true), heads);
    if (!s->state)
        rotate_query_and_key(s, &q, &k);
    tensor *y = merge_heads(s->state ? steps(s, q, k, v) : mix(s, q, k, v, 0, 0, true));
    if (option(s, "inner_norm"))
        y = layer_norm(s, "inner_attn_ln", y, option_real(s, "epsilon"));
    return linear(s, "out_proj", y, s->width, true);
}

static const char *validate(const struct scope *s)
{
    int segments, dilations;
    option_list(s, "segments", &segments);
    const double *stride = option_list(s, "dilations", &dilations);
    if (segments < 1 || segments != dilations)
        return "segments and dilations are not lists of equal length";
    for (int i = 0; i < dilations; i++)
        if (stride[i] > OPTION_LIST_MAXIMUM)
            return "a dilation is more than 128";
    return validate_heads(s);
}

KERNEL(dilated_attention) = {
    .name = "dilated-attention",
    .slot = SLOT_MIXER,
    .variant = "longnet",
    .summary = "attention inside segments of several lengths, thinned the more the longer they are",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       LIST_OPTION("segments", "16,32,64", 1, 1 << 24, "lengths of segments"),
                       LIST_OPTION("dilations", "1,2,4", 1, 128, "distances between the tokens kept of each"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen"),
                       FLAG_OPTION("inner_norm", 1, "a layer norm in front of the output's projection"),
                       REAL_OPTION("epsilon", 1e-5, 0, 1, "of that norm")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "strided"}, {"state", "window-cache"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .character = causality_by_option,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
