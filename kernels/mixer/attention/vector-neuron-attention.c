/* Rotation-equivariant attention over vector neurons (vn-transformer, sections 4.1 and 4.2, eq. 6;
 * lucidrains/VN-transformer VNAttention). A token is D / 3 vectors in space; maps act on these and scores are
 * products of all coordinates, so that what is turned goes in and comes out turned:
 *
 *     softmax over all s of <q_t, k_s> / sqrt(3 d)  times v,
 *         <q, k> = sum over d features and 3 coordinates
 *
 * With `distances` queries are the keys, and scores are 2 <q_t, k_s> / sqrt(3 d) - |q_t|^2 - |k_s|^2 as
 * published; what is the query's alone has no effect. */
#include "vector-neurons.h"
#include <math.h>

/* x [B, T, 3, H d] -> [B, T, H, 3 d] */
static tensor *vector_heads(tensor *x, int64_t heads)
{
    int64_t batch = x->shape[0], length = x->shape[1], d = x->shape[3] / heads;
    x = tensor_transpose(tensor_reshape(x, 5, SHAPE(batch, length, COORDINATES, heads, d)), 2, 3);
    return tensor_reshape(x, 4, SHAPE(batch, length, heads, COORDINATES * d));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = option_or(s, "head_dim", s->width / COORDINATES / heads);
    x = coordinates_first(x);
    tensor *q = vector_heads(vector_linear(s, "to_q", x, heads * d), heads), *k = q;
    if (!option(s, "distances"))
        k = vector_heads(vector_linear(s, "to_k", x, heads * d), heads);
    tensor *v = vector_heads(vector_linear(s, "to_v", x, heads * d), heads);
    struct attention_options options = {.scale = 1 / sqrt((double)(COORDINATES * d))};
    if (option(s, "distances")) {
        options.scale *= 2;
        tensor *lengths = tensor_sum(tensor_square(k), 3); /* [B, S, H, 1] */
        options.bias = tensor_permute(tensor_negate(lengths), (const int[]){0, 2, 3, 1});
    }
    tensor *y = tensor_attention(q, k, v, &options);
    y = tensor_reshape(y, 5, SHAPE(y->shape[0], y->shape[1], heads, COORDINATES, d));
    y = tensor_reshape(tensor_transpose(y, 2, 3), 4, SHAPE(y->shape[0], y->shape[1], COORDINATES, heads * d));
    return features_first(vector_linear(s, "to_out", y, s->width / COORDINATES));
}

static const char *validate(const struct scope *s)
{
    if (validate_vectors(s))
        return validate_vectors(s);
    return option(s, "head_dim") == 0 && s->width / COORDINATES % option(s, "heads")
               ? "a third of the width is not divisible by heads: set head_dim"
               : NULL;
}

KERNEL(vector_neuron_attention) = {
    .name = "vector-neuron-attention",
    .slot = SLOT_MIXER,
    .variant = "vn-transformer",
    .summary = "attention among features that are vectors in space, equivariant to rotations",
    .options = OPTIONS(INTEGER_OPTION("heads", 4, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "features of a head; 0: width / 3 / heads"),
                       REAL_OPTION("bias_epsilon", 0, 0, 1e3, "length of biases; 0: none"),
                       FLAG_OPTION("distances", 0, "scores are of distances, keys the queries")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"position", "none"}, {"time", "quadratic"},
                             {"causality", "bidirectional"}),
    .validate = validate,
    .forward = forward,
};
