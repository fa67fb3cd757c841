/* Cone attention (coneheads, section 3; tsengalb99/coneheads, penumbral and umbral). A head's vector z is a
 * point of the half space, a position p and a height h, from which a cone of descendants spreads; the lower
 * the apex of the cone that holds query and key, the more they have in common:
 *
 *     umbral:     h = exp(z_d / d), p = h (z_1 .. z_{d-1}),
 *                 score = -gamma max(h_t, h_s, (|p_t - p_s| / sinh r + h_t + h_s) / 2)
 *     penumbral:  h = r sigmoid(z_d), p = h (z_1 .. z_{d-1}),   a = sqrt(r^2 - h^2 + 1e-6),   D = |p_t - p_s|
 *                 score = -gamma H^2,
 *                     where the cones' rims meet (D <= a_t or (D - a_t)^2 + h_s^2 <= r^2):
 *                     H^2 = max(h_t^2, h_s^2, r^2 - ((a_t + a_s - D) / 2)^2),
 *                 else H^2 = ((D^2 + h_s^2 - h_t^2) / (2 D + 1e-6))^2 + h_t^2
 *
 * Scores take the place of scaled products in causal softmax attention. */
#include "pair-scores.h"

struct cones {
    tensor *position, *height; /* [B, H, T, d - 1] and [B, H, T, 1] */
};

static struct cones cones_of(struct scope *s, tensor *z)
{
    int64_t d = z->shape[3];
    tensor *last = tensor_slice(z, 3, d - 1, 1), *height;
    if (option_is(s, "kind", "umbral"))
        height = tensor_exp(tensor_scale(last, 1 / (double)d));
    else
        height = tensor_scale(tensor_sigmoid(last), option_real(s, "radius"));
    return (struct cones){tensor_multiply(tensor_slice(z, 3, 0, d - 1), height), height};
}

/* |p_t - p_s|, kept away from 0, where it has no gradient. */
static tensor *distances(struct cones q, struct cones k)
{
    return tensor_sqrt(tensor_clamp(squared_distances(q.position, k.position), 1e-24, INFINITY));
}

/* The height of the apex. */
static tensor *umbral(struct scope *s, struct cones q, struct cones k)
{
    tensor *of_key = tensor_transpose(k.height, 2, 3);
    tensor *apex = tensor_scale(distances(q, k), 1 / sinh(option_real(s, "radius")));
    apex = tensor_scale(tensor_add(tensor_add(apex, q.height), of_key), 0.5);
    return tensor_maximum(tensor_maximum(q.height, of_key), apex);
}

/* Its square. */
static tensor *penumbral(struct scope *s, struct cones q, struct cones k)
{
    double square = option_real(s, "radius") * option_real(s, "radius");
    tensor *D = distances(q, k), *hq = tensor_square(q.height), *hk = tensor_square(k.height);
    tensor *aq = tensor_sqrt(tensor_affine(hq, -1, square + 1e-6));
    tensor *ak = tensor_transpose(tensor_sqrt(tensor_affine(hk, -1, square + 1e-6)), 2, 3);
    hk = tensor_transpose(hk, 2, 3);
    tensor *overlap = tensor_scale(tensor_subtract(tensor_add(aq, ak), D), 0.5);
    tensor *meeting =
        tensor_maximum(tensor_maximum(hq, hk), tensor_affine(tensor_square(overlap), -1, square));
    tensor *foot =
        tensor_divide(tensor_add(tensor_square(D), tensor_subtract(hk, hq)), tensor_affine(D, 2, 1e-6));
    tensor *apart = tensor_add(tensor_square(foot), hq);
    tensor *beyond = tensor_subtract(D, aq); /* the key's side of the query's rim */
    tensor *above = tensor_greater(tensor_add(tensor_square(beyond), hk), tensor_scalar(s->graph, square));
    above = tensor_multiply(above, tensor_greater(beyond, tensor_scalar(s->graph, 0)));
    return tensor_where(above, apart, meeting);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads");
    tensor *q = heads_first(linear(s, "q", x, s->width, false), heads);
    tensor *k = heads_first(cache_append(s, "key", linear(s, "k", x, s->width, false), 0), heads);
    tensor *v = heads_first(cache_append(s, "value", linear(s, "v", x, s->width, false), 0), heads);
    tensor *height = (option_is(s, "kind", "umbral") ? umbral : penumbral)(s, cones_of(s, q), cones_of(s, k));
    tensor *weights = score_softmax(tensor_scale(height, -option_real(s, "gamma")), option(s, "causal"));
    return linear(s, "o", weighted_values(weights, v), s->width, false);
}

static const char *validate(const struct scope *s)
{
    if (validate_heads(s))
        return validate_heads(s);
    return head_dim(s) < 2 ? "a cone takes heads of at least 2 channels" : NULL;
}

KERNEL(cone_attention) = {
    .name = "cone-attention",
    .slot = SLOT_MIXER,
    .variant = "coneheads",
    .summary = "scores are heights of the lowest common ancestor of query and key under cones",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       CHOICE_OPTION("kind", "penumbral|umbral", "of light source: a ball or a point"),
                       REAL_OPTION("radius", 1, 1e-3, 100, "of the ball, or of the cones"),
                       REAL_OPTION("gamma", 1, 1e-6, 1e6, "multiplies heights"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = causality_by_option,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
