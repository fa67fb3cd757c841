/* The infinity-former's long-term memory (infinite-former, section 3; deep-spin/infinite-former
 * LongTermAttention): the past is a function on [0, 1], a sum of Gaussians psi_j fitted by ridge regression,
 * and attention is a Gaussian density over it.
 *
 *     first segment X:  B = G^T X
 *     later ones:       B = Ginf^T [psi(k / n)^T B' ; X], k = 1 .. n: the old function, sampled, takes the
 *                       part [0, tau] and X the rest; B' is without gradient
 *     score_j = q . (Wk B_j) / sqrt(d),   mu = sigmoid(w_mu . score),
 *         var = max(softplus(w_sigma . score), 1e-4)     affine
 *     or, with a = softmax(score), mu and var those of the mixture of psi_j by a
 *     y = Wo sum_j N(mu; m_j, var + s_j^2) Wv B_j,  zero in the first segment
 *
 * G = F^T (F F^T + ridge)^-1 for F = psi at the positions of the rows, of which as many again stand outside
 * [0, 1] and are dropped after. */
#include "block/kernel.h"
#include <math.h>

struct gaussian {
    double centre, width;
};

static struct gaussian basis(const struct scope *s, int64_t j)
{
    int count;
    const double *widths = option_list(s, "widths", &count);
    int64_t centres = option(s, "basis") / count;
    return (struct gaussian){centres > 1 ? (double)(j / count) / (double)(centres - 1) : 0,
                             widths[j % count]};
}

static double value(struct gaussian g, double t)
{
    double z = (t - g.centre) / g.width;
    return exp(-z * z / 2) / (g.width * sqrt(2 * acos(-1)));
}

static double spread(int64_t i, int64_t count, double shift)
{
    double low = -0.5 + shift, high = 1.5 - shift;
    return low + (high - low) * (double)i / (double)(count - 1);
}

static double at_first(const struct scope *s, int64_t j, int64_t point)
{
    int64_t points = 2 * option(s, "segment");
    return value(basis(s, j), spread(point, points, 1 / (double)points));
}

/* Points below 0 of an even spread, then the samples' in [0, tau], the segment's in [tau, 1], and the
 * spread's above 1. */
static double at_later(const struct scope *s, int64_t j, int64_t point)
{
    int64_t length = option(s, "segment"), samples = option(s, "samples"), total = length + samples,
            below = 0;
    double tau = option_real(s, "tau"), shift = 1 / (double)(2 * length + samples), t;
    while (spread(below, 2 * total, shift) < 0)
        below++;
    int64_t inside = point - below;
    if (inside < 0 || inside >= total) /* the spread is symmetric: as many are above 1 */
        t = spread(inside < 0 ? point : point - total + 2 * (total - below), 2 * total, shift);
    else if (inside < samples)
        t = tau * (double)(inside + 1) / (double)samples;
    else
        t = tau + (1 - tau) * (double)(inside - samples + 1) / (double)length;
    return value(basis(s, j), t);
}

static void fill_first(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)rank;
    fill_ridge_regression(s, shape[1], 2 * shape[0], option_real(s, "ridge"), at_first, shape[0] / 2,
                          shape[0], values);
}

static void fill_later(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)rank;
    int64_t total = shape[0], below = 0;
    while (spread(below, 2 * total, 1 / (double)(option(s, "segment") + total)) < 0)
        below++;
    fill_ridge_regression(s, shape[1], total + 2 * below, option_real(s, "ridge"), at_later, total / 2, total,
                          values);
}

static void take_in(struct scope *s, tensor *x)
{
    int64_t n = option(s, "basis"), samples = option(s, "samples"), length = option(s, "segment");
    tensor *first = buffer(s, "G", init_function(fill_first), 2, SHAPE(length, n));
    tensor *later = buffer(s, "Ginf", init_function(fill_later), 2, SHAPE(samples + length, n));
    if (x->shape[1] < length)
        return;
    tensor *old = carried(s, "coefficients");
    if (!old) {
        carry(s, "coefficients", tensor_matmul_tn(first, x));
        return;
    }
    tensor *points = tensor_constant(s->graph, NULL, 2, SHAPE(samples, n));
    for (int64_t k = 0; k < samples; k++)
        for (int64_t j = 0; j < n; j++)
            points->data[k * n + j] = (real)value(basis(s, j), (double)(k + 1) / (double)samples);
    tensor *sampled = tensor_matmul(points, tensor_stop_gradient(old));
    carry(s, "coefficients", tensor_matmul_tn(later, tensor_concat(2, (tensor *[]){sampled, x}, 1)));
}

/* Mean and variance of each query's density, [B, H, T, 1]. */
static void density(struct scope *s, tensor *scores, tensor *centres, tensor *squares, tensor **mean,
                    tensor **variance)
{
    int64_t n = option(s, "basis");
    if (option(s, "affine")) {
        tensor *mu = parameter(s, "mu.weight", init_linear(), 2, SHAPE(1, n));
        tensor *sigma = parameter(s, "sigma.weight", init_linear(), 2, SHAPE(1, n));
        *mean = tensor_sigmoid(tensor_sum(tensor_multiply(scores, tensor_reshape(mu, 1, SHAPE(n))), 3));
        tensor *raw = tensor_sum(tensor_multiply(scores, tensor_reshape(sigma, 1, SHAPE(n))), 3);
        *variance = tensor_maximum(tensor_softplus(raw), tensor_scalar(s->graph, 1e-4));
        return;
    }
    tensor *weights = tensor_softmax(scores, 3);
    *mean = tensor_sum(tensor_multiply(weights, centres), 3);
    tensor *second = tensor_add(tensor_square(centres), squares);
    *variance = tensor_subtract(tensor_sum(tensor_multiply(weights, second), 3), tensor_square(*mean));
}

static tensor *segment(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = s->width / heads, n = option(s, "basis");
    tensor *coefficients = carried(s, "coefficients");
    take_in(s, x);
    if (!coefficients)
        coefficients = tensor_full(s->graph, 0, 3, SHAPE(x->shape[0], n, s->width));
    tensor *q = tensor_transpose(split_heads(linear(s, "proj_query", x, s->width, false), heads), 1, 2);
    tensor *k =
        tensor_transpose(split_heads(linear(s, "proj_key", coefficients, s->width, false), heads), 1, 2);
    tensor *v =
        tensor_transpose(split_heads(linear(s, "proj_value", coefficients, s->width, false), heads), 1, 2);
    tensor *scores = tensor_scale(tensor_matmul_nt(q, k), 1 / sqrt((double)d)), *mean, *variance;
    tensor *centres = tensor_constant(s->graph, NULL, 1, SHAPE(n)),
           *squares = tensor_constant(s->graph, NULL, 1, SHAPE(n));
    for (int64_t j = 0; j < n; j++) {
        centres->data[j] = (real)basis(s, j).centre;
        squares->data[j] = (real)(basis(s, j).width * basis(s, j).width);
    }
    density(s, scores, centres, squares, &mean, &variance);
    tensor *wide = tensor_add(variance, squares);
    tensor *far = tensor_divide(tensor_square(tensor_subtract(mean, centres)), wide);
    tensor *weights = tensor_multiply(tensor_exp(tensor_scale(far, -0.5)),
                                      tensor_reciprocal_sqrt(tensor_scale(wide, 2 * acos(-1))));
    tensor *y = tensor_contiguous(tensor_transpose(tensor_matmul(weights, v), 1, 2));
    return linear(s, "attn_out", merge_heads(y), s->width, false);
}

static tensor *forward(struct scope *s, tensor *x)
{
    return by_segments(s, x, option(s, "segment"), segment);
}

static const char *validate(const struct scope *s)
{
    int count;
    option_list(s, "widths", &count);
    if (count < 1 || option(s, "basis") % count)
        return "basis is not divisible by the number of widths";
    if (option(s, "segment") % 2 || option(s, "samples") % 2)
        return "segment and samples must be even";
    return validate_heads(s);
}

KERNEL(continuous_memory_attention) = {
    .name = "continuous-memory-attention",
    .slot = SLOT_MIXER,
    .variant = "infinite-former",
    .summary = "the past is a function fitted by Gaussians, attended to by a density over its time",
    .options = OPTIONS(INTEGER_OPTION("segment", 64, 2, 1 << 16, "tokens of a segment"),
                       INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("basis", 32, 1, 4096, "Gaussians"),
                       INTEGER_OPTION("samples", 64, 2, 1 << 16,
                                      "points at which the old function is sampled"),
                       REAL_OPTION("tau", 0.5, 0.01, 0.99, "share of the time that the old function keeps"),
                       REAL_OPTION("ridge", 0.5, 1e-9, 1e6, "of the regression"),
                       LIST_OPTION("widths", "0.05,0.1", 1e-6, 10, "of the Gaussians at each centre"),
                       FLAG_OPTION("affine", 1, "mean and variance are linear maps of the scores")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "other"}, {"heads", "multiple"},
                             {"visibility", "compressed"}, {"memory", "compressed"}, {"state", "segments"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
