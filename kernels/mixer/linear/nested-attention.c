/* Luna: linear unified nested attention (luna, section 3, eq. 3 and 4, and 7 for the causal form;
 * XuezheMax/fairseq-apollo luna_attention.py). P packed queries p, a parameter, attend to the tokens and the
 * tokens attend to what they packed.
 *
 * Causal, with a_t = log2(1 + 2^(p . (x_t Wc) / sqrt(d))) [P]:
 *     logits_t = q_t^T sum_{j<=t} k_j a_j^T / t,   o_t = softmax(logits_t)^T sum_{j<=t} a_j v_j^T / t
 *         (t from 1)
 * Bidirectional: packed = softmax over the tokens (p . k) v, y = softmax over the P packed rows (q . k') v';
 * `packed_heads` heads pack. With tied values v = k. The packed rows are the further output "pcontext" of the
 * bidirectional form. */
#include "block/kernel.h"
#include <math.h>

static const char *validate(const struct scope *s)
{
    if (validate_heads(s))
        return validate_heads(s);
    return s->width % option_or(s, "packed_heads", option(s, "heads"))
               ? "the width is not divisible by packed_heads"
               : NULL;
}

/* p Wp + b [P, D], times 1 / sqrt(d) for heads of d channels. */
static tensor *packed_queries(struct scope *s, int64_t heads)
{
    tensor *p = parameter(s, "pquery", init_normal(0.02), 2, SHAPE(option(s, "packed"), s->width));
    return tensor_scale(linear(s, "attn.pq_proj", p, s->width, true), 1 / sqrt((double)(s->width / heads)));
}

static tensor *causal(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = s->width / heads, packed = option(s, "packed"),
            length = x->shape[1];
    tensor *p = tensor_transpose(tensor_reshape(packed_queries(s, heads), 3, SHAPE(packed, heads, d)), 0, 1);
    tensor *context =
        tensor_transpose(split_heads(linear(s, "attn.pc_proj", x, s->width, true), heads), 1, 2);
    tensor *z = tensor_transpose(tensor_matmul_nt(context, p), 1, 2); /* [B, T, H, P] */
    tensor *a = tensor_scale(tensor_softplus(tensor_scale(z, M_LN2)), 1 / M_LN2);
    tensor *q =
        tensor_scale(split_heads(linear(s, "attn.q_proj", x, s->width, true), heads), 1 / sqrt((double)d));
    bool tied = option(s, "tied");
    tensor *k = split_heads(linear(s, tied ? "attn.c_proj" : "attn.k_proj", x, s->width, true), heads);
    tensor *v = tied ? k : split_heads(linear(s, "attn.v_proj", x, s->width, true), heads);
    tensor *t = tensor_reshape(tensor_range(s->graph, s->position + 1, length, 1), 4, SHAPE(1, length, 1, 1));
    tensor *logits = tensor_divide(kept_matrix_scan(s, "K", q, k, a, (struct matrix_scan_options){0}), t);
    tensor *weights = tensor_divide(tensor_softmax(logits, 3), t);
    tensor *o = kept_matrix_scan(s, "V", weights, a, v, (struct matrix_scan_options){0});
    return linear(s, "attn.out_proj", merge_heads(o), s->width, true);
}

static tensor *bidirectional(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), packing = option_or(s, "packed_heads", heads),
            packed = option(s, "packed");
    bool tied = option(s, "tied");
    tensor *p = tensor_reshape(packed_queries(s, packing), 3, SHAPE(1, packed, s->width));
    p = split_heads(tensor_broadcast(p, 3, SHAPE(x->shape[0], packed, s->width)), packing);
    tensor *k = split_heads(linear(s, tied ? "attn.pc_proj" : "attn.pk_proj", x, s->width, true), packing);
    tensor *v = tied ? k : split_heads(linear(s, "attn.pv_proj", x, s->width, true), packing);
    struct attention_options unscaled = {.scale = 1};
    tensor *context = merge_heads(tensor_attention(p, k, v, &unscaled));
    further_output(s, "pcontext", context);
    tensor *q = split_heads(linear(s, "attn.q_proj", x, s->width, true), heads);
    k = split_heads(linear(s, tied ? "attn.c_proj" : "attn.k_proj", context, s->width, true), heads);
    v = tied ? k : split_heads(linear(s, "attn.v_proj", context, s->width, true), heads);
    return linear(s, "attn.out_proj", merge_heads(tensor_attention(q, k, v, &(struct attention_options){0})),
                  s->width, true);
}

static tensor *forward(struct scope *s, tensor *x)
{
    return option(s, "causal") ? causal(s, x) : bidirectional(s, x);
}

KERNEL(nested_attention) = {
    .name = "nested-attention",
    .slot = SLOT_MIXER,
    .variant = "luna",
    .summary = "a fixed number of packed queries attend to the sequence, which attends to what they packed",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("packed_heads", 0, 0, 1024,
                                      "heads that pack, in the bidirectional form; 0: heads"),
                       INTEGER_OPTION("packed", 16, 1, 65536, "packed rows"),
                       FLAG_OPTION("tied", 1, "values are the keys"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "compressed"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "none"}, {"output-gate", "no"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .character = causality_by_option,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
