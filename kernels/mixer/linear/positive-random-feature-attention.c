/* FAVOR+, attention by positive orthogonal random features (performer, eq. 5 to 7, 9 and 10; lucidrains/performer-pytorch
 * FastAttention). With P [M, d] fixed, u = d^(-1/4) q and f = u P^T,
 *
 *     phi(q) = M^(-1/2) (exp(f - |u|^2 / 2 - m) + 1e-4),    o_i = sum_{j<=i} (phi(q_i) . phi(k_j)) v_j / (phi(q_i) . z_i)
 *
 * z_i = sum_{j<=i} phi(k_j) + 1e-6. The stabiliser m, a constant of the gradient, is the largest f of a query, but of keys the
 * largest over all positions: later keys move it, and the 1e-4 lets that show. `generalized` has phi = relu(f) + 1e-3 instead and is
 * causal. The orthogonal blocks of P are drawn once, with rows as long as Gaussian vectors (or sqrt(d) with ortho_scaling). Without
 * `causal` sums are over all j and nothing is added to z. d is the size of a head with what a position kernel adds to it. */
#include "block/kernel.h"
#include "tensor/random.h"
#include <math.h>
#include <string.h>

static int64_t features(const struct scope *s, int64_t d)
{
    return option_or(s, "features", (int64_t)((double)d * log((double)d)));
}

/* Gram and Schmidt within blocks of d rows; each row then gets the length of a Gaussian vector. */
static void orthogonal_features(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)rank;
    int64_t d = shape[1];
    bool fixed_length = option(s, "ortho_scaling");
    random_fill_normal(7, 0, 0, shape[0] * d, 0, 1, values);
    for (int64_t row = 0; row < shape[0]; row++) {
        real *v = values + row * d;
        double length = 0, square = 0;
        for (int64_t i = 0; i < d; i++)
            length += (double)v[i] * (double)v[i];
        for (int64_t earlier = row / d * d; earlier < row; earlier++) {
            const real *w = values + earlier * d;
            double product = 0, norm = 0;
            for (int64_t i = 0; i < d; i++) {
                product += (double)v[i] * (double)w[i];
                norm += (double)w[i] * (double)w[i];
            }
            for (int64_t i = 0; i < d; i++)
                v[i] -= (real)(product / norm) * w[i];
        }
        for (int64_t i = 0; i < d; i++)
            square += (double)v[i] * (double)v[i];
        for (int64_t i = 0; i < d; i++)
            v[i] *= (real)sqrt((fixed_length ? (double)d : length) / square);
    }
}

static tensor *feature_map(struct scope *s, tensor *x, tensor *projection, bool is_query)
{
    tensor *u = tensor_scale(x, pow((double)x->shape[3], -0.25)), *f = tensor_linear(u, projection, NULL);
    if (option(s, "generalized"))
        return tensor_affine(tensor_relu(f), 1, 1e-3);
    tensor *largest = tensor_max(tensor_stop_gradient(f), 3);
    if (!is_query)
        largest = tensor_max(largest, 1);
    tensor *half_square = tensor_scale(tensor_sum(tensor_square(u), 3), 0.5);
    tensor *e = tensor_exp(tensor_subtract(tensor_subtract(f, half_square), tensor_stop_gradient(largest)));
    double ratio = 1 / sqrt((double)projection->shape[0]);
    return tensor_affine(e, ratio, ratio * 1e-4);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = head_dim(s);
    tensor *q = split_heads(linear(s, "to_q", x, heads * d, option(s, "bias")), heads);
    tensor *k = split_heads(linear(s, "to_k", x, heads * d, option(s, "bias")), heads);
    tensor *v = split_heads(linear(s, "to_v", x, heads * d, option(s, "bias")), heads);
    rotate_query_and_key(s, &q, &k);
    tensor *projection = buffer(s, "fast_attention.projection_matrix", init_function(orthogonal_features), 2,
                                SHAPE(features(s, q->shape[3]), q->shape[3]));
    q = feature_map(s, q, projection, true);
    k = feature_map(s, k, projection, false);
    struct linear_sums sums;
    if (option(s, "causal")) {
        sums = kept_linear_sums(s, "S", q, k, v, NULL);
        sums.weights = tensor_add(sums.weights, tensor_scale(tensor_sum(q, 3), 1e-6));
    } else {
        sums = whole_linear_sums(q, k, v);
    }
    tensor *o = tensor_divide(sums.values, sums.weights);
    return linear(s, "to_out", merge_heads(o), s->width, option(s, "output_bias"));
}

static tensor *step(struct scope *s, tensor *x)
{
    return option(s, "generalized") ? forward(s, x) : replay_step(s, x);
}

static const char *character(const struct scope *s, const char *name)
{
    if (!option(s, "causal"))
        return strcmp(name, "causality") == 0 ? "bidirectional" : NULL;
    if (!option(s, "generalized"))
        return NULL;
    return strcmp(name, "causality") == 0 ? "causal" : strcmp(name, "decode-cost") == 0 ? "constant" : NULL;
}

static const char *validate(const struct scope *s)
{
    if (validate_heads(s))
        return validate_heads(s);
    return features(s, head_dim(s)) < 1 ? "no features: set features" : NULL;
}

KERNEL(positive_random_feature_attention) = {
    .name = "positive-random-feature-attention",
    .slot = SLOT_MIXER,
    .variant = "performer",
    .summary = "softmax attention estimated by positive random features and summed once",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       INTEGER_OPTION("features", 0, 0, 65536, "random features; 0: d log d"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen"),
                       FLAG_OPTION("generalized", 0, "relu features instead of exponential ones"),
                       FLAG_OPTION("ortho_scaling", 0, "rows of the projection of length sqrt(d)"),
                       FLAG_OPTION("bias", 0, "the projections to q, k and v have biases"),
                       FLAG_OPTION("output_bias", 1, "so has the one to the output")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "sum"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "none"}, {"feature-map", "random"}, {"output-gate", "no"},
                             {"time", "linear"}, {"decode-cost", "replay"}, {"causality", "approximate"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = step,
};
