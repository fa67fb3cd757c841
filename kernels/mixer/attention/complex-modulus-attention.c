/* Attention of complex numbers by moduli (complex-order; iclr-complex-order/complex-order
 * transformer/SubLayers.py):
 *
 *     weights = softmax_s( | sum_d q_td k_sd | / sqrt(2 d) ),    y_t = fc( sum_s weights_ts v_s )
 *
 * The product has no conjugate; real weights then mix complex values. Projections with bias act on real and
 * imaginary part alike: the same matrix, and the same bias on both. A modulus is no scalar product, so the
 * scores exist as a whole. */
#include "../../complex-parts.h"
#include "pair-scores.h"

/* Heads with the real and then the imaginary parts of their channels: [2, B, T, H d] -> [B, T, H, 2 d] */
static tensor *complex_heads(tensor *parts, int64_t heads)
{
    int64_t batch = parts->shape[1], length = parts->shape[2], d = parts->shape[3] / heads;
    parts = tensor_reshape(parts, 5, SHAPE(2, batch, length, heads, d));
    return tensor_reshape(tensor_permute(parts, (const int[]){1, 2, 3, 0, 4}), 4,
                          SHAPE(batch, length, heads, 2 * d));
}

/* |q . k| of every query and key: [B, H, T, S]. The constant is far below rounding and gives the modulus of 0
 * a gradient. */
static tensor *moduli(tensor *q, tensor *k)
{
    int64_t d = q->shape[3] / 2;
    tensor *imaginary_key = tensor_roll(k, 3, d); /* [b | a] for k = a + i b */
    tensor *parts[] = {tensor_slice(k, 3, 0, d), tensor_negate(tensor_slice(k, 3, d, d))};
    tensor *a = tensor_matmul_nt(q, tensor_concat(2, parts, 3)), *b = tensor_matmul_nt(q, imaginary_key);
    return tensor_sqrt(tensor_affine(tensor_add(tensor_square(a), tensor_square(b)), 1, 1e-30));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = option_or(s, "head_dim", s->width / 2 / heads);
    int64_t value_dim = option_or(s, "value_dim", d), batch = x->shape[0], length = x->shape[1];
    tensor *parts = complex_parts(s, x);
    tensor *q = complex_heads(linear(s, "w_qs", parts, heads * d, true), heads);
    tensor *k = complex_heads(linear(s, "w_ks", parts, heads * d, true), heads);
    tensor *v = complex_heads(linear(s, "w_vs", parts, heads * value_dim, true), heads);
    k = tensor_transpose(cache_append(s, "key", k, 0), 1, 2);
    v = tensor_transpose(cache_append(s, "value", v, 0), 1, 2);
    tensor *scores = tensor_scale(moduli(tensor_transpose(q, 1, 2), k), 1 / sqrt(2 * (double)d));
    tensor *y = tensor_matmul(score_softmax(scores, option(s, "causal")), v);
    y = tensor_permute(tensor_reshape(y, 5, SHAPE(batch, heads, length, 2, value_dim)),
                       (const int[]){3, 0, 2, 1, 4});
    y = tensor_reshape(y, 4, SHAPE(2, batch, length, heads * value_dim));
    return complex_channels(s, linear(s, "fc", y, s->width / 2, true));
}

static const char *validate(const struct scope *s)
{
    if (s->width % 2)
        return validate_complex_width(s);
    return option(s, "head_dim") == 0 && s->width / 2 % option(s, "heads")
               ? "half of the width is not divisible by heads: set head_dim"
               : NULL;
}

KERNEL(complex_modulus_attention) = {
    .name = "complex-modulus-attention",
    .slot = SLOT_MIXER,
    .variant = "complex-order",
    .summary = "weights are a softmax of the moduli of complex products",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096,
                                      "complex channels of a head; 0: width / 2 / heads"),
                       INTEGER_OPTION("value_dim", 0, 0, 4096, "of its values; 0: head_dim"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen"), HALVES_OPTION),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"numbers", "complex"},
                             {"time", "quadratic"}, {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = causality_by_option,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
