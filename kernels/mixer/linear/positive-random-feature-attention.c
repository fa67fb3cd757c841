/* FAVOR+, attention by positive orthogonal random features (performer, sections 2.2 to 2.4, eq. 5 and 7;
 * lucidrains/performer-pytorch FastAttention). With P [M, d] fixed, u = d^(-1/4) q and f = u P^T,
 *
 *     phi(q) = M^(-1/2) (exp(f - |u|^2 / 2 - m) + 1e-4),
 *         o_i = sum_{j<=i} (phi(q_i) . phi(k_j)) v_j / (phi(q_i) . z_i)
 *
 * z_i = sum_{j<=i} phi(k_j) + 1e-6. The stabiliser m, a constant of the gradient, is the largest f of a
 * query, but of keys the largest over all positions: later keys move it, and the 1e-4 lets that show.
 * `generalized` has phi = relu(f) + 1e-3 instead and is causal. The orthogonal blocks of P are drawn once,
 * with rows as long as Gaussian vectors (or sqrt(d) with ortho_scaling). Without `causal` sums are over all j
 * and nothing is added to z. d is the size of a head with what a position kernel adds to it.
 *
 * With `clip` c > 0 the second half of the heads attends by distance alone (translational-equivariance,
 * strategy 2; ClippedRelative- SelfAttention of ExpectationMax/Translational-Equivariant-Performers): with
 * trained embeddings r [c + 1, d] of distances, the farthest shared, and features of their own, token j
 * weighs phi(q_i) . phi(r_min(|i-j|, c)). That is a sum over all tokens at the farthest distance and a band
 * of corrections. Distances are those of a sequence; the published ones are of pixels, down plus across, and
 * never causal. */
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
    tensor *e = tensor_exp(tensor_subtract(f, tensor_add(half_square, tensor_stop_gradient(largest))));
    double ratio = 1 / sqrt((double)projection->shape[0]);
    return tensor_affine(e, ratio, ratio * 1e-4);
}

static tensor *projection(struct scope *s, const char *name, int64_t d)
{
    return buffer(s, part_name(s, "%s.projection_matrix", name), init_function(orthogonal_features), 2,
                  SHAPE(features(s, d), d));
}

/* o for q and v [B, T, H, d], by the distance of tokens alone. */
static tensor *by_distance(struct scope *s, tensor *q, tensor *v)
{
    int64_t batch = v->shape[0], length = v->shape[1], heads = v->shape[2], d = v->shape[3];
    int64_t clip = option(s, "clip"), ahead = option(s, "causal") ? 0 : clip - 1, near = clip + ahead;
    tensor *r = parameter(s, "rpe", init_normal(0.02), 2, SHAPE(clip + 1, d));
    tensor *features = projection(s, "relative_attention", d);
    r = feature_map(s, tensor_reshape(r, 4, SHAPE(1, clip + 1, 1, d)), features, false);
    q = feature_map(s, q, features, true);
    tensor *weights = tensor_matmul_nt(q, tensor_reshape(r, 2, SHAPE(clip + 1, features->shape[0])));
    tensor *far = tensor_slice(weights, 3, clip, 1), *band[2 * 64];
    weights = tensor_subtract(tensor_slice(weights, 3, 0, clip), far);
    for (int64_t i = 0; i < near; i++)
        band[i] = tensor_slice(weights, 3, i < clip ? clip - 1 - i : i - clip + 1, 1);
    weights = tensor_reshape(tensor_concat((int)near, band, 3), 5, SHAPE(batch, length, heads, 1, near));
    tensor *ones =
        tensor_full(s->graph, 1, 4, SHAPE(batch, length, heads, 1)); /* beside v: the weights' sum */
    v = tensor_concat(2, (tensor *[]){v, ones}, 3);
    tensor *all = option(s, "causal") ? tensor_cumulative_sum(v, 1) : tensor_sum(v, 1);
    tensor *close =
        tensor_windows(tensor_pad(v, 1, clip - 1, ahead, 0), 1, near, 1); /* [B, T, near, H, d + 1] */
    close = tensor_matmul(weights, tensor_transpose(close, 2, 3));
    tensor *sums =
        tensor_add(tensor_multiply(far, all), tensor_reshape(close, 4, SHAPE(batch, length, heads, d + 1)));
    return tensor_divide(tensor_slice(sums, 3, 0, d), tensor_slice(sums, 3, d, 1));
}

static tensor *by_content(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    rotate_query_and_key(s, &q, &k);
    tensor *features = projection(s, "fast_attention", q->shape[3]);
    q = feature_map(s, q, features, true);
    k = feature_map(s, k, features, false);
    struct linear_sums sums;
    if (option(s, "causal")) {
        sums = kept_linear_sums(s, "S", q, k, v, NULL);
        sums.weights = tensor_add(sums.weights, tensor_scale(tensor_sum(q, 3), 1e-6));
    } else {
        sums = whole_linear_sums(q, k, v);
    }
    return tensor_divide(sums.values, sums.weights);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = head_dim(s), content = option(s, "clip") ? heads / 2 : heads;
    bool bias = option(s, "bias");
    tensor *q = split_heads(linear(s, "to_q", x, heads * d, bias), heads);
    tensor *v = split_heads(linear(s, "to_v", x, heads * d, bias), heads), *outputs[2];
    int count = 0;
    if (content) {
        tensor *k = split_heads(linear(s, "to_k", x, content * d, bias), content);
        outputs[count++] = by_content(s, tensor_slice(q, 2, 0, content), k, tensor_slice(v, 2, 0, content));
    }
    if (content < heads)
        outputs[count++] = by_distance(s, tensor_slice(q, 2, content, heads - content),
                                       tensor_slice(v, 2, content, heads - content));
    tensor *o = tensor_concat(count, outputs, 2);
    return linear(s, "to_out", merge_heads(o), s->width, option(s, "output_bias"));
}

static bool has_step(const struct scope *s)
{
    return option(s, "generalized") && !option(s, "clip");
}

static tensor *step(struct scope *s, tensor *x)
{
    return has_step(s) ? forward(s, x) : replay_step(s, x);
}

static const char *character(const struct scope *s, const char *name)
{
    if (!option(s, "causal"))
        return strcmp(name, "causality") == 0 ? "bidirectional" : NULL;
    if (!option(s, "generalized"))
        return NULL;
    if (strcmp(name, "causality") == 0)
        return "causal";
    return strcmp(name, "decode-cost") == 0 && has_step(s) ? "constant" : NULL;
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
                       INTEGER_OPTION("clip", 0, 0, 64,
                                      "distances of their own for half of the heads; 0: all see content"),
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
