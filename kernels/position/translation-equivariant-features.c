/* Positions as further channels of queries and keys whose product depends on the offset alone
 * (translational-equivariance, strategy 1; ExpectationMax/Translational-Equivariant-Performers
 * RelPosSelfAttention, ConstrainedLinear, IdentityLinear):
 *
 *     phi(t) = (sin w_1 t, cos w_1 t, .., sin w_m t, cos w_m t)                       m = scales
 *     k_s -> (k_s, phi(s)),    q_t -> (q_t, phi(t) R_h),
 *         R_h = blockdiag [alpha_hi, beta_hi; -beta_hi, alpha_hi]
 *     (q_t, phi(t) R_h) . (k_s, phi(s)) = q_t . k_s + sum_i alpha_hi cos w_i (t - s)
 *         + beta_hi sin w_i (t - s)
 *
 * No term mixes content and position. The frequencies w, common to all layers, are trained from a geometric
 * start, and alpha and beta [heads * m] by each layer. A mixer scales by the extended size of its heads.
 * Positions are those of a sequence; images have such channels for either axis. Strategy 2 (clipped learned
 * distances) is positive-random-feature-attention's option `clip`; rotations that depend on content are not
 * here. */
#include "block/kernel.h"
#include <math.h>

/* 1 / timescale^(i / m) */
static void frequencies(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)rank;
    for (int64_t i = 0; i < shape[0]; i++)
        values[i] = (real)pow(option_real(s, "timescale"), -(double)i / (double)shape[0]);
}

static tensor *rotate(struct scope *s, tensor *x, bool is_key, int64_t start)
{
    int64_t length = x->shape[1], heads = x->shape[2], scales = option(s, "scales");
    const int64_t *each = SHAPE(heads * scales);
    tensor *w = shared_parameter(s, "inv_freq", init_function(frequencies), 1, SHAPE(scales));
    tensor *alpha = parameter(s, "alpha", init_normal(1), 1, each);
    tensor *beta = parameter(s, "beta", init_normal(1), 1, each);
    tensor *t = tensor_reshape(tensor_range(s->graph, start, length, 1), 4, SHAPE(length, 1, 1, 1));
    tensor *angle = tensor_multiply(t, tensor_reshape(w, 2, SHAPE(scales, 1))); /* [T, 1, m, 1] */
    tensor *sine = tensor_sin(angle), *cosine = tensor_cos(angle);
    if (!is_key) {
        tensor *a = tensor_reshape(alpha, 3, SHAPE(heads, scales, 1));
        tensor *b = tensor_reshape(beta, 3, SHAPE(heads, scales, 1));
        tensor *first = tensor_subtract(tensor_multiply(sine, a), tensor_multiply(cosine, b));
        cosine = tensor_add(tensor_multiply(sine, b), tensor_multiply(cosine, a));
        sine = first;
    }
    tensor *phi = tensor_concat(2, (tensor *[]){sine, cosine}, 3); /* [T, H or 1, m, 2] */
    phi = tensor_reshape(phi, 4, SHAPE(1, length, phi->shape[1], 2 * scales));
    phi = tensor_broadcast(phi, 4, SHAPE(x->shape[0], length, heads, 2 * scales));
    return tensor_concat(2, (tensor *[]){x, phi}, 3);
}

KERNEL(translation_equivariant_features) = {
    .name = "translation-equivariant-features",
    .slot = SLOT_POSITION,
    .variant = "translational-equivariance",
    .summary = "sines and cosines of the position beside each query and key, so that scores see offsets only",
    .options = OPTIONS(INTEGER_OPTION("scales", 4, 1, 4096, "frequencies"),
                       REAL_OPTION("timescale", 64, 1, 1e12, "one over the lowest frequency at first")),
    .characters = CHARACTERS({"position", "relative"}),
    .rotate = rotate,
};
