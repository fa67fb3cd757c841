/* Kernelised attention with relative position biases by Fourier transforms (nprf; section 3.3 for the
 * norm). Per head, with random w_1 .. w_M and trained biases b_{j-i},
 *
 *     phi(u) = exp(-|u|^2 / 2) (exp(w_1 . u), .., exp(w_M . u)) / sqrt(M)      of q / |q| and k / |k|
 *     o_i = phi(q_i) D1_i / phi(q_i) D2_i,   D1_i = sum_j e^{b_{j-i}} phi(k_j)^T v_j,
 *         D2_i = sum_j e^{b_{j-i}} phi(k_j)^T
 *
 * over j <= i, or over all j without `causal`. D1 and D2 are products with a Toeplitz matrix: a convolution
 * of each of the M (d + 1) channels with e^b, by FFT, so time is T log T. They are made for a few features at
 * a time and read at once, which keeps memory linear. All queries and keys being of length 1, constant
 * factors of phi cancel. A step weighs the tokens so far one by one.
 *
 * There is a bias for each distance below `length`; there is no public repository of the authors. */
#include "block/filters.h"
#include <math.h>

enum { AT_ONCE = 4 }; /* features */

static tensor *feature_map(struct scope *s, tensor *x)
{
    int64_t d = x->shape[3], count = option_or(s, "features", d);
    tensor *w = buffer(s, "projection_matrix", init_normal(1), 2, SHAPE(count, d));
    tensor *z = tensor_linear(tensor_l2_norm(x, 1e-12), w, NULL);
    return tensor_scale(tensor_exp(tensor_affine(z, 1, -0.5)), 1 / sqrt((double)count));
}

/* e^b for keys 0, 1, .. count - 1 places before the query, or 1, 2, .. after it: [H, count]. */
static tensor *coefficients(struct scope *s, int64_t count, bool after)
{
    int64_t length = option(s, "length"), heads = option(s, "heads");
    tensor *b = parameter(s, "relative_position_bias", init_normal(0.02), 2,
                          SHAPE(heads, option(s, "causal") ? length : 2 * length - 1));
    if (after)
        return tensor_exp(tensor_slice(b, 1, length, count));
    return tensor_exp(tensor_flip(tensor_slice(b, 1, length - count, count), 1));
}

/* Heads before tokens and merged with the batch: [B, T, H, n] -> [B H, T, n]. */
static tensor *head_by_head(tensor *x)
{
    return tensor_reshape(tensor_transpose(x, 1, 2), 3,
                          SHAPE(x->shape[0] * x->shape[2], x->shape[1], x->shape[3]));
}

/* sum over some features f of phi(q_i)_f sum_j e^{b_{j-i}} phi(k_j)_f v_j for q, k [B H, T, F], v [B H, T, e]
 * and a kernel [B H, 1, L]. */
static tensor *features_product(tensor *q, tensor *k, tensor *v, tensor *before, tensor *after)
{
    int64_t rows = q->shape[0], length = q->shape[1], count = q->shape[2], e = v->shape[2];
    tensor *a = tensor_multiply(tensor_reshape(k, 4, SHAPE(rows, length, count, 1)),
                                tensor_reshape(v, 4, SHAPE(rows, length, 1, e)));
    a = tensor_reshape(a, 3, SHAPE(rows, length, count * e));
    a = after ? two_sided_convolution(a, before, after) : tensor_long_convolution(a, before, false);
    a = tensor_multiply(tensor_reshape(a, 4, SHAPE(rows, length, count, e)),
                        tensor_reshape(q, 4, SHAPE(rows, length, count, 1)));
    return tensor_reshape(tensor_sum(a, 2), 3, SHAPE(rows, length, e));
}

/* A kernel [H, L] for each sequence and head, [B H, 1, L]. */
static tensor *kernels_of(tensor *coefficients, int64_t batch)
{
    return tensor_repeat(
        tensor_reshape(coefficients, 3, SHAPE(coefficients->shape[0], 1, coefficients->shape[1])), 0, batch);
}

/* The mean of e^b is taken out of the convolution and its product summed plainly, which leaves less for
 * transforms to round. */
static tensor *parallel(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t batch = q->shape[0], length = q->shape[1], heads = q->shape[2], features = q->shape[3];
    bool causal = option(s, "causal");
    tensor *before = coefficients(s, length, false), *after = NULL;
    tensor *level = tensor_stop_gradient(tensor_mean(before, 1)); /* [H, 1] */
    if (!causal && length > 1)
        after = kernels_of(tensor_subtract(coefficients(s, length - 1, true), level), batch);
    before = kernels_of(tensor_subtract(before, level), batch);
    tensor *plain = causal ? tensor_matrix_scan(q, k, v, &(struct matrix_scan_options){.scale = 1})
                           : whole_linear_product(q, k, v);
    tensor *sum = head_by_head(tensor_multiply(plain, tensor_reshape(level, 4, SHAPE(1, 1, heads, 1))));
    q = head_by_head(q);
    k = head_by_head(k);
    v = head_by_head(v);
    for (int64_t f = 0; f < features; f += AT_ONCE) {
        int64_t count = features - f < AT_ONCE ? features - f : AT_ONCE;
        tensor *part =
            features_product(tensor_slice(q, 2, f, count), tensor_slice(k, 2, f, count), v, before, after);
        sum = tensor_add(sum, part);
    }
    return tensor_transpose(tensor_reshape(sum, 4, SHAPE(batch, heads, length, sum->shape[2])), 1, 2);
}

/* The newest queries q [B, T, H, M] against all keys so far. */
static tensor *newest(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t count = q->shape[1], heads = q->shape[2];
    struct pieces rows = {0};
    q = tensor_transpose(q, 1, 2);
    k = tensor_transpose(k, 1, 2);
    v = tensor_transpose(v, 1, 2);
    for (int64_t t = 0; t < count; t++) {
        int64_t seen = k->shape[2] - count + t + 1;
        tensor *c = tensor_reshape(tensor_flip(coefficients(s, seen, false), 1), 3, SHAPE(heads, 1, seen));
        tensor *scores = tensor_matmul_nt(tensor_slice(q, 2, t, 1), tensor_slice(k, 2, 0, seen));
        add_piece(&rows, tensor_matmul(tensor_multiply(scores, c), tensor_slice(v, 2, 0, seen)));
    }
    return tensor_transpose(join_pieces(&rows, 2), 1, 2);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = head_dim(s), batch = x->shape[0], count = x->shape[1];
    bool bias = option(s, "bias");
    tensor *q = feature_map(s, split_heads(linear(s, "q_proj", x, heads * d, bias), heads));
    tensor *k = feature_map(s, split_heads(linear(s, "k_proj", x, heads * d, bias), heads));
    tensor *v = split_heads(linear(s, "v_proj", x, heads * d, bias), heads);
    v = tensor_concat(2, (tensor *[]){v, tensor_full(s->graph, 1, 4, SHAPE(batch, count, heads, 1))},
                      3); /* and D2 */
    k = cache_append(s, "k", k, 0);
    v = cache_append(s, "v", v, 0);
    if (k->shape[1] > option(s, "length"))
        kernel_fail(s, "it has biases for %lld distances only (option length)",
                    (long long)option(s, "length"));
    tensor *sum = s->state ? newest(s, q, k, v) : parallel(s, q, k, v);
    tensor *o = tensor_divide(tensor_slice(sum, 3, 0, d), tensor_slice(sum, 3, d, 1));
    return linear(s, "out_proj", merge_heads(o), s->width, bias);
}

KERNEL(toeplitz_kernel_attention) = {
    .name = "toeplitz-kernel-attention",
    .slot = SLOT_MIXER,
    .variant = "nprf",
    .summary = "kernelised attention with exponentiated relative biases, convolved with its features by FFT",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       INTEGER_OPTION("features", 0, 0, 65536, "random features; 0: as many as channels"),
                       INTEGER_OPTION("length", 2048, 1, 1 << 24, "distances that have biases"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen"),
                       FLAG_OPTION("bias", 1, "projections have biases")),
    .characters = CHARACTERS({"mixing", "linear-attention"}, {"normalizer", "sum"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"feature-map", "random"},
                             {"position", "bias"}, {"output-gate", "no"}, {"time", "log-linear"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = causality_by_option,
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
