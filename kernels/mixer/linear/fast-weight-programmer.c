/* The delta rule on fast weights as first published, with sums of features equal to one (deltanet, sections
 * 4.2 and 5.4; IDSIA/lmtool-fwp CudaFastWeightLinearTransformerLayer, its DPFP and Norm classes). One
 * projection gives q, k, v and beta = sigmoid(.) per head,
 *
 *     q = phi(q) / sum phi(q),  k likewise,  S_t = S_{t-1} + beta_t k_t (v_t - S_{t-1}^T k_t)^T,
 *         o_t = S_t^T q_t / sqrt(d),  a = o Wo
 *
 * phi is elu + 1, or DPFP: for u' = [relu(u), relu(-u)], all u'_i u'_{i-r} for r = 1 .. roll. With
 * `normalize`, z_t = z_{t-1} + k_t and n_t = z_{t-1} . k_t (1 for the first token), k_t / (n_t + epsilon) is
 * written with beta_t n_t, and o_t is divided by z_t . q_t + epsilon. The published layer contains its norm
 * and residual: y = h + a with h = norm(x) (pre), or norm(x + a) (post). */
#include "positive-shares.h"
#include "rolled-products.h"
#include <math.h>

static const char *validate(const struct scope *s)
{
    return head_dim(s) < 1 ? "there are more heads than channels" : NULL;
}

static tensor *features(struct scope *s, tensor *u)
{
    if (option_is(s, "feature_map", "elu+1"))
        return positive_shares(u);
    tensor *phi = rolled_products(u, option(s, "roll"));
    /* Few rolls can leave no feature: they stay zero instead of 0 / 0. */
    return tensor_divide(phi, tensor_clamp(tensor_sum(phi, 3), 1e-30, INFINITY));
}

/* z_{t-1} . k_t, 1 at the first token of the sequence, with z_t in *sums. */
static tensor *retrieved_weight(struct scope *s, tensor *k, tensor **sums)
{
    *sums = kept_scan(s, "z", tensor_scalar(s->graph, 1), k);
    tensor *before = split_heads(token_shift(s, "z_before", merge_heads(*sums)), k->shape[2]);
    tensor *n =
        tensor_sum(tensor_multiply(before, k), 3); /* not z_t - k_t, of which too little may be left */
    if (s->position > 0)
        return n;
    tensor *one = tensor_full(s->graph, 1, 4, SHAPE(n->shape[0], 1, n->shape[2], 1));
    return n->shape[1] == 1 ? one
                            : tensor_concat(2, (tensor *[]){one, tensor_slice(n, 1, 1, n->shape[1] - 1)}, 1);
}

static tensor *attend(struct scope *s, tensor *h)
{
    int64_t B = h->shape[0], T = h->shape[1], heads = option(s, "heads"), d = head_dim(s);
    double epsilon = option_real(s, "epsilon");
    tensor *all = split_heads(linear(s, "qkvb_net", h, heads * (3 * d + 1), false), heads), *sums = NULL;
    tensor *q = features(s, tensor_slice(all, 3, 0, d)), *k = features(s, tensor_slice(all, 3, d, d));
    tensor *v = tensor_slice(all, 3, 2 * d, d), *beta = tensor_sigmoid(tensor_slice(all, 3, 3 * d, 1));
    if (option(s, "normalize")) {
        tensor *n = retrieved_weight(s, k, &sums);
        beta = tensor_multiply(beta, n);
        k = tensor_divide(k, tensor_affine(n, 1, epsilon));
    }
    struct matrix_scan_options scan = {.scale = 1 / sqrt((double)d),
                                       .beta = tensor_reshape(beta, 3, SHAPE(B, T, heads))};
    tensor *o = kept_matrix_scan(s, "S", q, k, v, scan);
    if (sums)
        o = tensor_divide(o, tensor_affine(tensor_sum(tensor_multiply(sums, q), 3), 1, epsilon));
    return linear(s, "o_net", merge_heads(o), s->width, false);
}

static tensor *forward(struct scope *s, tensor *x)
{
    if (option_is(s, "norm", "none"))
        return attend(s, x);
    bool before = option_is(s, "norm", "pre");
    tensor *h = before ? layer_norm(s, "layer_norm", x, 1e-5) : x;
    tensor *y = tensor_add(h, attend(s, h));
    return before ? y : layer_norm(s, "layer_norm", y, 1e-5);
}

static const char *character(const struct scope *s, const char *name)
{
    if (name[0] == 'f' && !option_is(s, "feature_map", "elu+1"))
        return "polynomial";
    return NULL;
}

KERNEL(fast_weight_programmer) = {
    .name = "fast-weight-programmer",
    .slot = SLOT_MIXER,
    .variant = "deltanet",
    .summary = "the delta rule on fast weights with positive features that sum to one",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       CHOICE_OPTION("feature_map", "dpfp|elu+1", "phi"),
                       INTEGER_OPTION("roll", 3, 1, 64, "shifts of dpfp"),
                       FLAG_OPTION("normalize", 0, "written and read values are divided by sums of weights"),
                       CHOICE_OPTION("norm", "none|pre|post", "a layer norm inside, with a residual"),
                       REAL_OPTION("epsilon", 1e-5, 0, 1, "added to the sums of weights")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "sum"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "delta"},
                             {"decay", "none"}, {"feature-map", "elu"}, {"output-gate", "no"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
