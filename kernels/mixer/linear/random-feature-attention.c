/* Random feature attention (rfa, eq. 3 to 5; Noahs-ARK/RFA CausalAttention). Queries and keys are divided by
 * their norm plus 1e-3; with R [H, M, d] fixed and sigma [H, 1, d] trained, A = R sigma / tau,
 *
 *     phi(u) = 0.1 [sin(A u), cos(A u)],    o_i = sum_{j<=i} (phi(q_i) . phi(k_j)) v_j / Z_i
 *
 * Z_i is the sum of the weights, at least `floor` (1, as the released kernel has it); with floor 0 the masked
 * form's max(|sum|, 1e-3). The paper's recency gate is not in the released code and not here. */
#include "block/kernel.h"

/* u [B, T, H, d] through A [H, M, d] -> [B, T, H, 2 M] */
static tensor *features(struct scope *s, tensor *u, tensor *A)
{
    (void)s;
    tensor *norm = tensor_affine(tensor_sqrt(tensor_sum(tensor_square(u), 3)), 1, 1e-3);
    tensor *z = per_head_product(tensor_divide(u, norm), A, true);
    return tensor_scale(tensor_concat(2, (tensor *[]){tensor_sin(z), tensor_cos(z)}, 3), 0.1);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = head_dim(s);
    tensor *A = buffer(s, "random_matrices", init_normal(1), 3, SHAPE(heads, option(s, "features"), d));
    if (option(s, "reparametrize"))
        A = tensor_multiply(A, parameter(s, "sigma", init_constant(1), 3, SHAPE(heads, 1, d)));
    A = tensor_scale(A, 1 / option_real(s, "tau"));
    tensor *q = features(s, split_heads(linear(s, "q_proj", x, heads * d, true), heads), A);
    tensor *k = features(s, split_heads(linear(s, "k_proj", x, heads * d, true), heads), A);
    tensor *v = split_heads(linear(s, "v_proj", x, heads * d, true), heads);
    struct linear_sums sums = kept_linear_sums(s, "S", q, k, v, NULL);
    double floor = option_real(s, "floor");
    tensor *weights = floor > 0 ? sums.weights : tensor_absolute(sums.weights);
    tensor *Z = tensor_maximum(weights, tensor_scalar(s->graph, floor > 0 ? floor : 1e-3));
    return linear(s, "out_proj", merge_heads(tensor_divide(sums.values, Z)), s->width, true);
}

KERNEL(random_feature_attention) = {
    .name = "random-feature-attention",
    .slot = SLOT_MIXER,
    .variant = "rfa",
    .summary = "attention with a Gaussian kernel estimated by random sines and cosines",
    .options = OPTIONS(
        INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
        INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
        INTEGER_OPTION("features", 64, 1, 65536, "random projections; each gives a sine and a cosine"),
        REAL_OPTION("tau", 1, 1e-6, 1e6, "temperature"),
        FLAG_OPTION("reparametrize", 1, "each channel of the projections has a trained scale"),
        REAL_OPTION("floor", 1, 0, 1e6, "least sum of weights; 0: 0.001, of its absolute value")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "sum"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "none"}, {"feature-map", "random"}, {"output-gate", "no"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
