/* Skyformer's attention (skyformer; pkuzengqi/Skyformer Skyformer). The scores are a Gaussian kernel kappa(a,
 * b) = exp(-|a - b|^2 / 2) of queries and keys over 32^(1/4), which are stacked, Z = [q; k], so that the
 * kernel's matrix is positive semidefinite. Of its rows m times f are sampled, S [m, f], half of them
 * queries:
 *
 *     A[i, e] = sum_m kappa(Z_i, Z_S[m, e]),   M[d, e] = sum_m A[S[m, d], e] + 0.1 (d = e),
 *         D = diag(M's row sums)^(-1/2)
 *     o = A_q D (D M D)^-1 D A_k^T v         the inverse by six iterations of order four
 *
 * with no row sum divided out of the result. The constant 32 is the published code's, whatever a head's
 * width. Samples are drawn once, as places from 0 to 1; the further input "sketch" [B, m, f] gives row
 * numbers instead. As published, the first iterate is scaled by the largest column sum of the whole batch.
 * Not causal. */
#include "block/kernel.h"
#include <math.h>

/* Row numbers among the 2 T rows of Z, [B or 1, m f]. */
static tensor *sampled_rows(struct scope *s, int64_t length)
{
    int64_t sums = option(s, "accumulation"), features = option(s, "features"), count = sums * features;
    tensor *given = further_input(s, "sketch");
    if (given && (given->rank != 3 || given->shape[1] != sums || given->shape[2] != features))
        kernel_fail(s, "its sketch must be [batch, %lld, %lld]", (long long)sums, (long long)features);
    if (given)
        return tensor_reshape(given, 2, SHAPE(given->shape[0], count));
    tensor *places = buffer(s, "places", init_uniform(0, 1), 2, SHAPE(sums, features));
    places = tensor_reshape(places, 2, SHAPE(1, count));
    tensor *rows = tensor_clamp(tensor_floor(tensor_scale(places, (double)length)), 0, (double)(length - 1));
    tensor *index = tensor_reshape(tensor_range(s->graph, 0, count, 1), 2, SHAPE(1, count));
    tensor *is_key = tensor_greater(index, tensor_scalar(s->graph, (double)(count / 2) - 0.5));
    return tensor_add(rows, tensor_scale(is_key, (double)length));
}

/* The rows of x [B, H, n, e] and the sums of each m of them: [B, H, m f, e] -> [B, H, f, e]. */
static tensor *sketched(struct scope *s, tensor *x, tensor *rows)
{
    int64_t count = rows->shape[1], sums = option(s, "accumulation");
    x = tensor_gather(x, 2, tensor_reshape(rows, 4, SHAPE(rows->shape[0], 1, count, 1)));
    x = tensor_reshape(x, 5, SHAPE(x->shape[0], x->shape[1], sums, count / sums, x->shape[3]));
    return tensor_reshape(tensor_sum(x, 2), 4, SHAPE(x->shape[0], x->shape[1], count / sums, x->shape[4]));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = head_dim(s), length = x->shape[1], batch = x->shape[0];
    int64_t sums = option(s, "accumulation"), features = option(s, "features");
    tensor *q = split_heads(linear(s, "W_q", x, heads * d, true), heads);
    tensor *k = split_heads(linear(s, "W_k", x, heads * d, true), heads);
    tensor *v = tensor_transpose(split_heads(linear(s, "W_v", x, heads * d, true), heads), 1, 2);
    tensor *Z = tensor_scale(tensor_concat(2, (tensor *[]){q, k}, 1), pow(32, -0.25)),
           *rows = sampled_rows(s, length);
    Z = tensor_transpose(Z, 1, 2); /* [B, H, 2 T, d] */
    tensor *sampled =
        tensor_gather(Z, 2, tensor_reshape(rows, 4, SHAPE(rows->shape[0], 1, sums * features, 1)));
    tensor *A =
        tensor_reshape(gaussian_kernel(Z, sampled), 5, SHAPE(batch, heads, 2 * length, sums, features));
    A = tensor_reshape(tensor_sum(A, 3), 4, SHAPE(batch, heads, 2 * length, features));
    tensor *M = tensor_add(sketched(s, A, rows), scaled_identity(s->graph, features, 0.1));
    tensor *D = tensor_reciprocal_sqrt(tensor_sum(M, 3)); /* [B, H, f, 1] */
    tensor *D_columns = tensor_transpose(D, 2, 3);
    M = tensor_multiply(tensor_multiply(M, D), D_columns);
    tensor *largest = tensor_max(tensor_max(tensor_max(tensor_sum(M, 2), 3), 1), 0);
    tensor *inverse =
        iterated_inverse(M, tensor_divide(tensor_transpose(M, 2, 3), largest), 4, option(s, "iterations"));
    A = tensor_multiply(A, D_columns);
    tensor *values = tensor_matmul_tn(tensor_slice(A, 2, length, length), v); /* [B, H, f, d] */
    tensor *o = tensor_matmul(tensor_slice(A, 2, 0, length), tensor_matmul_tn(inverse, values));
    return linear(s, "ff", merge_heads(tensor_transpose(o, 1, 2)), s->width, true);
}

/* The first iterate's scale, as far as the iterations do not forget it. */
static double batch_coupling(const struct scope *s)
{
    (void)s;
    return 0.05;
}

KERNEL(gaussian_nystrom_attention) = {
    .name = "gaussian-nystrom-attention",
    .slot = SLOT_MIXER,
    .variant = "skyformer",
    .summary = "attention with a Gaussian kernel of stacked queries and keys, from sampled rows by the "
               "Nystrom method",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       INTEGER_OPTION("features", 32, 1, 1 << 16, "sums of sampled rows"),
                       INTEGER_OPTION("accumulation", 2, 1, 1024, "rows of each sum"),
                       INTEGER_OPTION("iterations", 6, 0, 64, "of the inverse")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "none"}, {"heads", "multiple"},
                             {"visibility", "landmark"}, {"state", "none"}, {"time", "linear"},
                             {"causality", "bidirectional"}),
    .batch_coupling = batch_coupling,
    .validate = validate_heads,
    .forward = forward,
};
