/* YOSO in expectation (yoso; mlpen/YOSO YOSOEAttention): the weight of a pair is the probability that tau
 * random hyperplanes leave query and key on the same side,
 *
 *     A_ij = (1 - arccos(q_i . k_j / (|q_i| |k_j|)) / pi)^tau,   X = A v,
 *         y = X / |X| (+ a convolution of v along time)
 *
 * with X of unit length in each head and neither softmax nor row sums. The gradient is the published one and
 * not the derivative, which is infinite where query and key meet: dA_ij / d(q_i . k_j) is taken to be tau / 2
 * A_ij. Bidirectional. */
#include "../lowrank/head-convolution.h"
#include <math.h>

/* The probabilities for cosines c: arccos(c) = pi / 2 - arctan(c / sqrt(1 - c^2)). */
static tensor *collision_probabilities(tensor *cosines, double tau)
{
    tensor *c = tensor_clamp(tensor_stop_gradient(cosines), -1, 1);
    tensor *sine = tensor_sqrt(tensor_multiply(tensor_affine(c, -1, 1), tensor_affine(c, 1, 1)));
    tensor *one = tensor_arctan(tensor_divide(c, tensor_clamp(sine, 1e-18, 1)));
    tensor *value = tensor_raise(tensor_clamp(tensor_affine(one, 1 / M_PI, 0.5), 0, 1), tau);
    return tensor_straight_through(value, tensor_multiply(tensor_scale(value, tau / 2), cosines));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), inner = heads * head_dim(s);
    tensor *q = tensor_transpose(split_heads(linear(s, "W_q", x, inner, true), heads), 1, 2);
    tensor *k = tensor_transpose(split_heads(linear(s, "W_k", x, inner, true), heads), 1, 2);
    tensor *v = split_heads(linear(s, "W_v", x, inner, true), heads);
    tensor *weights =
        collision_probabilities(tensor_matmul_nt(tensor_l2_norm_max(q, 1e-12), tensor_l2_norm_max(k, 1e-12)),
                                (double)option(s, "bits"));
    tensor *y = tensor_l2_norm_max(tensor_matmul(weights, tensor_transpose(v, 1, 2)), 1e-12);
    y = tensor_transpose(y, 1, 2);
    if (option(s, "conv") > 0)
        y = tensor_add(y, head_convolution(s, v, option(s, "conv")));
    return linear(s, "ff", merge_heads(y), s->width, true);
}

static const char *validate(const struct scope *s)
{
    if (option(s, "conv") > 0 && option(s, "conv") % 2 == 0)
        return "a filter of an even size has no centre: conv is odd, or 0 for none";
    return validate_heads(s);
}

KERNEL(hash_collision_attention) = {
    .name = "hash-collision-attention",
    .slot = SLOT_MIXER,
    .variant = "yoso",
    .summary = "weights are the probabilities that random hashes of query and key agree",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       INTEGER_OPTION("bits", 8, 1, 64, "hyperplanes of a hash, tau"),
                       INTEGER_OPTION("conv", 0, 0, 4095, "taps of the values' convolution; 0: none")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "norm"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "none"}, {"time", "quadratic"},
                             {"causality", "bidirectional"}),
    .validate = validate,
    .forward = forward,
};
