/* DiJiang: frequency-domain kernelisation (dijiang, section 3; YuchuanTian/DiJiang GPTNeoXAttention).
 * Features are
 *
 *     phi(u) = softmax(u C),  C a discrete cosine transform with fixed random signs and sizes,
 *         the same for all heads
 *
 * times trained D1[h, t] for queries and D2[h, t] for keys, which start as gamma_h^t and gamma_h^-t; o_i =
 * sum_{j<=i} (phi_q . phi_k) v_j without a denominator, then a group norm with as many groups as a head has
 * channels, and a gate silu(x W_G). q, k and v lie side by side per head. The first `rotary_fraction` of a
 * head's channels is rotated. */
#include "block/kernel.h"
#include "tensor/random.h"
#include <math.h>

/* The orthonormal DCT-II times a diagonal of normal samples. */
static void transform(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)s, (void)rank;
    int64_t n = shape[0];
    random_fill_normal(11, 0, 0, n, 0, 1, values); /* the first row holds the samples until it is written */
    for (int64_t i = n - 1; i >= 0; i--)
        for (int64_t j = n - 1; j >= 0; j--) {
            double norm = sqrt((i ? 2.0 : 1.0) / (double)n);
            values[i * n + j] =
                (real)(norm * cos(M_PI * ((double)j + 0.5) * (double)i / (double)n)) * values[j];
        }
}

static void decays(const struct scope *s, const int64_t *shape, real *values, double sign)
{
    (void)s;
    for (int64_t h = 0; h < shape[1]; h++) {
        double share = shape[1] > 1 ? (double)h / (double)(shape[1] - 1) : 0;
        double gamma = 1 - exp(log(1.0 / 32) + share * (log(1.0 / 512) - log(1.0 / 32)));
        for (int64_t t = 0; t < shape[2]; t++)
            values[h * shape[2] + t] = (real)pow(gamma, sign * (double)t);
    }
}

static void falling(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)rank;
    decays(s, shape, values, 1);
}

static void rising(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)rank;
    decays(s, shape, values, -1);
}

static tensor *rotated(struct scope *s, tensor *x)
{
    int64_t pairs = (int64_t)((double)x->shape[3] * option_real(s, "rotary_fraction")) / 2;
    if (pairs == 0)
        return x;
    tensor *angles = rotary_angles(s, s->position, x->shape[1], pairs, option_real(s, "theta"));
    return tensor_rotary(x, angles, false);
}

/* [1, T, H, 1] */
static tensor *decay(struct scope *s, const char *name, struct init init, int64_t count)
{
    tensor *all = parameter(s, name, init, 4, SHAPE(1, option(s, "heads"), option(s, "length"), 1));
    return tensor_transpose(tensor_slice(all, 2, s->position, count), 1, 2);
}

static tensor *features(struct scope *s, tensor *u, tensor *projection, tensor *decay)
{
    return tensor_multiply(tensor_softmax(tensor_matmul(rotated(s, u), projection), 3), decay);
}

static const double epsilon = 1e-5;

/* 1, with the gradient that a norm of groups [B, T, G, n] has with respect to a scale of each head
 * [1, T, H, 1]: it feels the scale through epsilon alone, (c u - mean) / sqrt(variance + epsilon c^2 /
 * scale^2) at c = scale, which a sum over the groups' gradients would bury in rounding. */
static tensor *felt_scale(tensor *grouped, tensor *scale)
{
    tensor *none = tensor_equal(scale, tensor_scalar(scale->graph, 0)); /* it has run out */
    scale = tensor_where(none, tensor_scalar(scale->graph, 1), scale);
    tensor *ratio = tensor_square(tensor_divide(tensor_stop_gradient(scale), scale));
    ratio = tensor_repeat_interleave(ratio, 2, grouped->shape[2] / scale->shape[2]);
    tensor *variance = tensor_stop_gradient(tensor_variance(tensor_stop_gradient(grouped), 3));
    return tensor_sqrt(tensor_divide(tensor_affine(variance, 1, epsilon),
                                     tensor_add(variance, tensor_scale(ratio, epsilon))));
}

/* Groups of H neighbouring channels, as many as a head has channels; `scale` is what heads have been
 * multiplied by, or NULL. */
static tensor *group_norm(struct scope *s, tensor *x, int64_t groups, tensor *scale)
{
    tensor *grouped = split_heads(x, groups), *normed = tensor_layer_norm(grouped, NULL, NULL, epsilon);
    if (scale)
        normed = tensor_multiply(normed, felt_scale(grouped, scale));
    tensor *weight = parameter(s, "group_norm.weight", init_constant(1), 1, SHAPE(s->width));
    return tensor_add(tensor_multiply(merge_heads(normed), weight),
                      parameter(s, "group_norm.bias", init_constant(0), 1, SHAPE(s->width)));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = s->width / heads;
    if (s->position + x->shape[1] > option(s, "length"))
        kernel_fail(s, "it has decays for %lld positions only (option length)",
                    (long long)option(s, "length"));
    tensor *qkv = split_heads(linear(s, "query_key_value", x, 3 * s->width, true), heads);
    tensor *projection = buffer(s, "proj_matrix", init_function(transform), 2, SHAPE(d, d));
    tensor *fall = decay(s, "D1", init_function(falling), x->shape[1]);
    tensor *rise = decay(s, "D2", init_function(rising), x->shape[1]);
    bool within = d % heads == 0; /* each group lies within a head */
    tensor *q =
        features(s, tensor_slice(qkv, 3, 0, d), projection, within ? tensor_stop_gradient(fall) : fall);
    tensor *k = features(s, tensor_slice(qkv, 3, d, d), projection, rise);
    tensor *o =
        kept_matrix_scan(s, "S", q, k, tensor_slice(qkv, 3, 2 * d, d), (struct matrix_scan_options){0});
    tensor *gate = tensor_matmul(x, parameter(s, "W_G", init_linear(), 2, SHAPE(s->width, s->width)));
    o = tensor_multiply(tensor_silu(gate), group_norm(s, merge_heads(o), d, within ? fall : NULL));
    return linear(s, "dense", o, s->width, true);
}

KERNEL(cosine_transform_attention) = {
    .name = "cosine-transform-attention",
    .slot = SLOT_MIXER,
    .variant = "dijiang",
    .summary = "linear attention whose features are a softmax over randomly weighted cosine transforms",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       REAL_OPTION("rotary_fraction", 0.25, 0, 1, "of a head's channels that are rotated"),
                       REAL_OPTION("theta", 10000, 1, 1e12, "base of the rotary frequencies"),
                       INTEGER_OPTION("length", 2048, 1, 1 << 20, "positions that have decays")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "norm"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "learned"}, {"decay-grain", "head"}, {"feature-map", "softmax"},
                             {"position", "rotary"}, {"output-gate", "yes"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
