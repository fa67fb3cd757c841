/* Attention that turns with its space (attention-symmetries, representation theorem). A map of tokens X and
 * of knowledge, vectors Z of the same space that are trained, with f(Q X, Q Z) = Q f(X, Z) for every
 * orthogonal Q, is X g1 + Z g2, where g1 and g2 depend on inner products of X and Z only. The theorem leaves
 * g1 and g2 open; here they are what makes it self-attention, shares by the tokens' coordinates c_t = Z x_t /
 * sqrt(D) along K vectors of knowledge:
 *
 *     q, k, v = c Wq, c Wk, c Wv,   a = softmax(q_t . k_s / sqrt(d))
 *         for each of H heads
 *     y_t = sum_h sum_s a[h, t, s] g_h x_s + Z^T Wo concat_h(sum_s a[h, t, s] v_s)
 *
 * so no matrix but Z meets the tokens. Over all tokens, in any order, as the theorem's last form has it, or
 * with `causal` over earlier ones. */
#include "block/kernel.h"
#include <math.h>

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), count = option(s, "knowledge"), width = s->width;
    int64_t d = count / heads, batch = x->shape[0], length = x->shape[1];
    double scale = 1 / sqrt((double)width);
    tensor *Z = parameter(s, "knowledge", init_normal(1), 2, SHAPE(count, width));
    tensor *c = tensor_scale(tensor_linear(x, Z, NULL), scale);
    tensor *q = split_heads(linear(s, "q_proj", c, heads * d, false), heads);
    tensor *k = split_heads(linear(s, "k_proj", c, heads * d, false), heads);
    tensor *v = split_heads(linear(s, "v_proj", c, heads * d, false), heads);
    tensor *g = parameter(s, "token_scale", init_constant(1 / (double)heads), 2, SHAPE(heads, 1));
    tensor *tokens = tensor_multiply(tensor_reshape(x, 4, SHAPE(batch, length, 1, width)), g);
    v = tensor_concat(2, (tensor *[]){v, tokens}, 3);
    tensor *read =
        positioned_attention(s, q, k, v, (struct attention_options){.causal = option(s, "causal")});
    tensor *own = tensor_sum(tensor_slice(read, 3, d, width), 2);
    tensor *known = merge_heads(tensor_slice(read, 3, 0, d));
    known = tensor_matmul(linear(s, "o_proj", known, count, false), Z);
    return tensor_add(tensor_reshape(own, 3, x->shape), tensor_scale(known, scale));
}

static const char *validate(const struct scope *s)
{
    return option(s, "knowledge") % option(s, "heads") ? "knowledge is not divisible by heads" : NULL;
}

KERNEL(orthogonally_equivariant_attention) = {
    .name = "orthogonally-equivariant-attention",
    .slot = SLOT_MIXER,
    .variant = "attention-symmetries",
    .summary = "sums of tokens and of knowledge vectors whose weights follow from inner products of these",
    .options = OPTIONS(INTEGER_OPTION("heads", 4, 1, 1024, "heads"),
                       INTEGER_OPTION("knowledge", 64, 1, 1 << 20, "vectors of knowledge"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = causality_by_option,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
