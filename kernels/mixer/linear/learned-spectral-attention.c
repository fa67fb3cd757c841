/* Linear attention whose kernel is learned through its spectral distribution (learned-kernel, the methods
 * GMM, FastFood and Generator, each with RKS and PRF features; cs1160701/OnLearningTheKernel
 * fast_transformers). With u = d^(-1/4) q and frequencies w_1 .. w_M, samples of a distribution that is
 * trained,
 *
 *     phi(q) = (cos w_m . u, sin w_m . u, ..) / sqrt(M), smoothing             fourier (RKS)
 *     phi(q) = (exp(w_m . u - |u|^2), ..) / sqrt(M)                            positive (PRF)
 *     o_i = sum_j (phi(q_i) . phi(k_j)) v_j / (sum_j phi(q_i) . phi(k_j) + 1e-6)
 *
 * over all tokens j: the paper's models are encoders. The frequencies are, from a fixed draw e of normal
 * numbers,
 *
 *     mixture      each head a component: Sigma_h^T e +- mu_h (both signs),
 *         for positive features exp(sigma_h / 2) e + mu_h
 *     fastfood     w = S H G P H B / sqrt(d) with trained diagonals S, G, B,
 *         Hadamard's H and a drawn permutation P; M = d
 *     generator    tanh(W_2 f(W_1 f(W_0 e))), f a batch norm over the M samples and a leaky ReLU
 *
 * The paper draws e anew at times; the batch norm is that of training. */
#include "block/kernel.h"
#include "tensor/random.h"
#include <math.h>

#define FEATURE_MAP "inner_attention.feature_map."

static bool positive(const struct scope *s)
{
    return option_is(s, "feature_map", "positive");
}

/* ---- Products w . u for all frequencies: [B, T, H, d] -> [B, T, H, M] ---- */

static tensor *mixture(struct scope *s, tensor *u)
{
    int64_t heads = u->shape[2], d = u->shape[3], count = option_or(s, "features", d);
    tensor *e = buffer(s, FEATURE_MAP "omega", init_normal(1), 2, SHAPE(d, count)), *w;
    tensor *mean =
        tensor_reshape(parameter(s, FEATURE_MAP "mean",
                                 init_uniform(-1 / sqrt((double)d), 1 / sqrt((double)d)), 2, SHAPE(heads, d)),
                       3, SHAPE(heads, d, 1));
    if (positive(s)) {
        double bound = sqrt(6 / (double)(heads + d));
        tensor *sigma = parameter(s, FEATURE_MAP "sigma", init_uniform(-bound, bound), 2, SHAPE(heads, d));
        sigma = tensor_reshape(tensor_exp(tensor_scale(sigma, 0.5)), 3, SHAPE(heads, d, 1));
        return per_head_product(u, tensor_add(tensor_multiply(e, sigma), mean), false);
    }
    double bound = sqrt(6 / (double)(d * d + heads * d));
    w = tensor_matmul_tn(
        parameter(s, FEATURE_MAP "sigma", init_uniform(-bound, bound), 3, SHAPE(heads, d, d)), e);
    tensor *plus = per_head_product(u, tensor_add(w, mean), false);
    return tensor_concat(2, (tensor *[]){plus, per_head_product(u, tensor_subtract(w, mean), false)}, 3);
}

static tensor *generator(struct scope *s, tensor *u)
{
    int64_t d = u->shape[3], sizes[] = {d > 1 ? d / 2 : 1, 2 * d, 4 * d, d};
    tensor *w =
        buffer(s, FEATURE_MAP "omega", init_normal(1), 2, SHAPE(option_or(s, "features", d), sizes[0]));
    for (int i = 0; i < 3; i++) {
        const char *name = part_name(s, FEATURE_MAP "generator.generator_layers.%d", i);
        w = linear(s, part_name(s, "%s.linear", name), w, sizes[i + 1], true);
        if (i == 2)
            return tensor_linear(u, tensor_tanh(w), NULL);
        const int64_t *shape = SHAPE(sizes[i + 1]);
        tensor *spread = tensor_reciprocal_sqrt(tensor_affine(tensor_variance(w, 0), 1, 1e-5));
        w = tensor_multiply(tensor_subtract(w, tensor_mean(w, 0)), spread);
        w = tensor_multiply(
            w, parameter(s, part_name(s, "%s.batch_norm.weight", name), init_constant(1), 1, shape));
        w = tensor_add(w, parameter(s, part_name(s, "%s.batch_norm.bias", name), init_constant(0), 1, shape));
        w = tensor_leaky_relu(w, 0.01);
    }
    return w;
}

static void permutation(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)s, (void)rank;
    for (int64_t i = 0; i < shape[0]; i++) {
        int64_t j = (int64_t)random_integer(7, 0, (uint64_t)i, (uint64_t)i + 1);
        values[i] = values[j];
        values[j] = (real)i;
    }
}

static tensor *hadamard(struct graph *graph, int64_t size)
{
    tensor *h = tensor_constant(graph, NULL, 2, SHAPE(size, size));
    for (int64_t i = 0; i < size * size; i++)
        h->data[i] = __builtin_parityll((unsigned long long)(i / size & i % size)) ? -1 : 1;
    return h;
}

static tensor *fastfood(struct scope *s, tensor *u)
{
    int64_t d = u->shape[3];
    tensor *h = hadamard(s->graph, d), *diagonals[3];
    static const char *const names[] = {FEATURE_MAP "B", FEATURE_MAP "G", FEATURE_MAP "S"};
    for (int i = 0; i < 3; i++)
        diagonals[i] = parameter(s, names[i], init_normal(1 / sqrt((double)d)), 1, SHAPE(d));
    tensor *p = tensor_reshape(buffer(s, FEATURE_MAP "P", init_function(permutation), 1, SHAPE(d)), 4,
                               SHAPE(1, 1, 1, d));
    u = tensor_gather(tensor_linear(tensor_multiply(u, diagonals[0]), h, NULL), 3, p);
    u = tensor_multiply(tensor_linear(tensor_multiply(u, diagonals[1]), h, NULL), diagonals[2]);
    return tensor_scale(u, 1 / sqrt((double)d));
}

/* ---- Features and sums ---- */

static tensor *feature_map(struct scope *s, tensor *x)
{
    tensor *u = tensor_scale(x, pow((double)x->shape[3], -0.25));
    bool is_mixture = option_is(s, "spectrum", "mixture");
    tensor *z = is_mixture                              ? mixture(s, u)
                : option_is(s, "spectrum", "generator") ? generator(s, u)
                                                        : fastfood(s, u);
    double ratio = 1 / sqrt((double)(is_mixture && !positive(s) ? z->shape[3] / 2 : z->shape[3]));
    if (positive(s))
        return tensor_scale(tensor_exp(tensor_subtract(z, tensor_sum(tensor_square(u), 3))), ratio);
    tensor *parts[] = {tensor_scale(tensor_cos(z), ratio), tensor_scale(tensor_sin(z), ratio),
                       tensor_full(s->graph, option_real(s, "smoothing"), 4,
                                   SHAPE(x->shape[0], x->shape[1], x->shape[2], 1))};
    return tensor_concat(3, parts, 3);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = head_dim(s);
    bool bias = option(s, "bias");
    tensor *q = feature_map(s, split_heads(linear(s, "query_projection", x, heads * d, bias), heads));
    tensor *k = feature_map(s, split_heads(linear(s, "key_projection", x, heads * d, bias), heads));
    tensor *v = split_heads(linear(s, "value_projection", x, heads * d, bias), heads);
    struct linear_sums sums = whole_linear_sums(q, k, v);
    tensor *o = tensor_divide(sums.values, tensor_affine(sums.weights, 1, 1e-6));
    return linear(s, "out_projection", merge_heads(o), s->width, bias);
}

static const char *validate(const struct scope *s)
{
    int64_t d = head_dim(s);
    if (validate_heads(s))
        return validate_heads(s);
    return option_is(s, "spectrum", "fastfood") && (d & (d - 1)) ? "fastfood takes heads of 2^n channels"
                                                                 : NULL;
}

KERNEL(learned_spectral_attention) = {
    .name = "learned-spectral-attention",
    .slot = SLOT_MIXER,
    .variant = "learned-kernel",
    .summary = "linear attention whose random frequencies come from a trained distribution",
    .options = OPTIONS(
        INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
        INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
        CHOICE_OPTION("spectrum", "mixture|fastfood|generator", "what makes the frequencies"),
        CHOICE_OPTION("feature_map", "fourier|positive", "sines and cosines, or exponentials"),
        INTEGER_OPTION("features", 0, 0, 65536, "frequencies drawn, but by fastfood; 0: as many as channels"),
        REAL_OPTION("smoothing", 1, 0, 1e6, "a further feature of all tokens, beside sines and cosines"),
        FLAG_OPTION("bias", 0, "projections have biases")),
    .characters = CHARACTERS({"mixing", "linear-attention"}, {"normalizer", "sum"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "none"}, {"feature-map", "learned"},
                             {"output-gate", "no"}, {"time", "linear"}, {"causality", "bidirectional"}),
    .validate = validate,
    .forward = forward,
};
