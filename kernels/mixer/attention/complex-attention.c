/* Attention of complex numbers (complex-transformer, section 4.1, eq. 8;
 * lucidrains/complex-valued-transformer ComplexMultiheadAttention). Width and heads hold pairs of real and
 * imaginary part; projections are complex, without conjugation.
 *
 *     products:  softmax(Re(q conj(k)) / sqrt(2 d)) v,  v complex
 *     complete:  with M(X, Y) = softmax(X Y^T / sqrt(d)) v, X and Y the real (A) or imaginary (B) parts
 *                M(A, A) + i M(A, B) + i M(B, A) - M(B, B)
 *
 * which is the complex product of three factors, each softmax in the place of a product's first two. Rotary
 * positions, if any, are multiplications of q and k by exp(i t 10000^(-j / d)), j = 0 .. d - 1. */
#include "block/kernel.h"
#include <string.h>

/* x [B, T, 2 I] through NAME.weight [O, I, 2]: as real matrix it has rows (re, -im) and (im, re). */
static tensor *complex_linear(struct scope *s, const char *name, tensor *x, int64_t outputs)
{
    int64_t inputs = x->shape[2] / 2;
    tensor *w = parameter(s, part_name(s, "%s.weight", name), init_linear(), 3, SHAPE(outputs, inputs, 2));
    tensor *conjugate = tensor_constant(s->graph, (const real[]){1, -1}, 1, SHAPE(2));
    tensor *rows[] = {tensor_reshape(tensor_multiply(w, conjugate), 4, SHAPE(outputs, 1, inputs, 2)),
                      tensor_reshape(tensor_flip(w, 2), 4, SHAPE(outputs, 1, inputs, 2))};
    return tensor_linear(x, tensor_reshape(tensor_concat(2, rows, 1), 2, SHAPE(2 * outputs, 2 * inputs)),
                         NULL);
}

static tensor *turned(struct scope *s, tensor *x)
{
    int64_t pairs = x->shape[3] / 2;
    return tensor_rotary(x, rotary_angles(s, s->position, x->shape[1], pairs, 10000), true);
}

/* Parts (real, imaginary) of the heads of x [B, T, H, 2 d] as heads of their own, each parts[i] of all heads
 * once more: [B, T, H count, d]. */
static tensor *parts_of(tensor *x, int count, const int *parts)
{
    int64_t heads = x->shape[2], d = x->shape[3] / 2;
    x = tensor_reshape(x, 5, SHAPE(x->shape[0], x->shape[1], heads, d, 2));
    tensor *all[4];
    for (int i = 0; i < count; i++)
        all[i] =
            tensor_reshape(tensor_slice(x, 4, parts[i], 1), 5, SHAPE(x->shape[0], x->shape[1], heads, 1, d));
    return tensor_reshape(tensor_concat(count, all, 3), 4, SHAPE(x->shape[0], x->shape[1], heads * count, d));
}

/* Two key heads a head, Y = A and B, each met by two queries, X = A and B. */
static tensor *complete(tensor *q, tensor *k, tensor *v, const struct attention_options *options)
{
    int64_t batch = q->shape[0], length = q->shape[1], heads = q->shape[2], d = q->shape[3] / 2;
    tensor *y = tensor_attention(parts_of(q, 4, (const int[]){0, 1, 0, 1}),
                                 parts_of(k, 2, (const int[]){0, 1}), repeat_heads(v, 2), options);
    y = tensor_reshape(y, 6, SHAPE(batch, length, heads, 4, d, 2)); /* (A, A), (B, A), (A, B), (B, B) */
    tensor *same = tensor_subtract(tensor_slice(y, 3, 0, 1), tensor_slice(y, 3, 3, 1));
    tensor *mixed = tensor_add(tensor_slice(y, 3, 1, 1), tensor_slice(y, 3, 2, 1));
    tensor *turn = tensor_constant(y->graph, (const real[]){-1, 1}, 1, SHAPE(2)); /* times i */
    y = tensor_add(same, tensor_multiply(tensor_flip(mixed, 5), turn));
    return tensor_reshape(y, 4, SHAPE(batch, length, heads, 2 * d));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), width = s->width / 2;
    int64_t inner = heads * option_or(s, "head_dim", width / heads);
    tensor *kv = complex_linear(s, "to_kv", x, 2 * inner);
    tensor *q = split_heads(complex_linear(s, "to_q", x, inner), heads);
    tensor *k = split_heads(tensor_slice(kv, 2, 0, 2 * inner), heads);
    if (option(s, "rotary")) {
        q = turned(s, q);
        k = turned(s, k);
    }
    k = cache_append(s, "key", k, 0);
    tensor *v = cache_append(s, "value", split_heads(tensor_slice(kv, 2, 2 * inner, 2 * inner), heads), 0);
    struct attention_options options = {.causal = option(s, "causal"), .offset = k->shape[1] - q->shape[1]};
    tensor *y = option(s, "complete") ? complete(q, k, v, &options) : tensor_attention(q, k, v, &options);
    return complex_linear(s, "to_out", merge_heads(y), width);
}

static const char *validate(const struct scope *s)
{
    if (s->width % 2)
        return "complex numbers take an even width";
    return option(s, "head_dim") == 0 && s->width / 2 % option(s, "heads")
               ? "half of the width is not divisible by heads: set head_dim"
               : NULL;
}

static const char *character(const struct scope *s, const char *name)
{
    if (strcmp(name, "position") == 0 && !option(s, "rotary"))
        return "none";
    return causality_by_option(s, name);
}

KERNEL(complex_attention) = {
    .name = "complex-attention",
    .slot = SLOT_MIXER,
    .variant = "complex-transformer",
    .summary =
        "attention among complex tokens by products with conjugates, or by all four parts' own softmax",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096,
                                      "complex channels of a head; 0: width / 2 / heads"),
                       FLAG_OPTION("complete", 1, "real and imaginary parts have softmaxes of their own"),
                       FLAG_OPTION("rotary", 0, "queries and keys turn with their position"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"numbers", "complex"},
                             {"position", "rotary"}, {"time", "quadratic"}, {"decode-cost", "linear"},
                             {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
