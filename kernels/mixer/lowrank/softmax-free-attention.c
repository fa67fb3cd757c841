/* Softmax-free attention (soft; fudan-zvg/SOFT SoftmaxFreeAttention, with `norm` SoftmaxFreeNormAttention).
 * Tokens are a grid; keys are the queries, over d^(1/4); landmarks L are a strided convolution of them, with
 * a layer norm and a gelu, from patches of `ratio` x `ratio`; scores are a Gaussian kernel kappa(a, b) =
 * exp(-|a - b|^2 / 2):
 *
 *     A = kappa(q, L),  P = kappa(L, L),   o = A V A^T v (+ a depthwise convolution of v over the grid),
 *         V = (P + 0.01)^-1
 *     norm:  V = D^(-1/2) P^-1 D^(-1/2),   D = P's row sums
 *
 * The inverse is Newton's, from alpha P. Without `norm`, alpha = 1.8 / (largest row sum)^2 and, as published,
 * its gradient is that of an exact inverse, -V^T G V^T, where the iterate stands for it. With `norm`, alpha =
 * 2 / (the batch's largest row sum)^2, halved up to ten times while the largest column sum of |1 - P V|
 * exceeds 1.01, and the gradient goes through the iterations. Patches that do not fill are dropped. With a
 * fixed ratio landmarks grow with T. Not causal. */
#include "../grid.h"
#include <math.h>

/* Landmarks [B, m, H, d] of q [B, T, H, d]. */
static tensor *landmarks(struct scope *s, tensor *q, struct grid grid)
{
    int64_t batch = q->shape[0], heads = q->shape[2], d = q->shape[3], r = option(s, "ratio");
    int64_t rows = grid.rows / r, columns = grid.columns / r, all = heads * d;
    if (rows == 0 || columns == 0)
        kernel_fail(s, "a grid of %lld x %lld tokens holds no patch of %lld x %lld (option ratio)",
                    (long long)grid.rows, (long long)grid.columns, (long long)r, (long long)r);
    tensor *cells = tensor_reshape(q, 4, SHAPE(batch, grid.rows, grid.columns, all));
    cells = tensor_slice(tensor_slice(cells, 1, 0, rows * r), 2, 0, columns * r);
    cells = tensor_permute(tensor_reshape(cells, 5, SHAPE(batch * rows, r, columns, r, all)),
                           (const int[]){0, 2, 1, 3, 4});
    tensor *patches = tensor_reshape(cells, 4, SHAPE(batch, rows * columns, r * r, all));
    patches = tensor_reshape(patches, 5, SHAPE(batch, rows * columns, r * r, heads, d));
    patches = tensor_permute(patches, (const int[]){0, 1, 3, 4, 2});
    patches = tensor_reshape(patches, 4, SHAPE(batch, rows * columns, heads, d * r * r));
    tensor *weight = parameter(s, "attn.Qlandmark_op.weight", init_linear(), 4, SHAPE(d, d, r, r));
    tensor *L = tensor_linear(patches, tensor_reshape(weight, 2, SHAPE(d, d * r * r)), NULL);
    return tensor_gelu(layer_norm(s, "attn.Qnorm_act.0", L, 1e-5));
}

static tensor *largest_of_all(tensor *x)
{
    for (int axis = 0; axis < x->rank; axis++)
        x = tensor_max(x, axis);
    return x;
}

/* alpha 2^-n with the first n at which |1 - alpha 2^-n P P| has no column sum above 1.01, at most 10. */
static tensor *damped(tensor *alpha, tensor *P)
{
    tensor *square = tensor_stop_gradient(tensor_matmul(P, P)), *scale = tensor_stop_gradient(alpha);
    tensor *one = scaled_identity(P->graph, tensor_length(P, -1), 1), *factor = tensor_scalar(P->graph, 1);
    tensor *going = tensor_scalar(P->graph, 1), *bound = tensor_scalar(P->graph, 1.01);
    for (int n = 0; n < 10; n++) {
        tensor *rest = tensor_subtract(one, tensor_multiply(square, tensor_multiply(scale, factor)));
        tensor *size = largest_of_all(tensor_sum(tensor_absolute(rest), -2));
        going = tensor_multiply(going, tensor_greater(size, bound));
        factor = tensor_multiply(factor, tensor_affine(going, -0.5, 1));
    }
    return tensor_multiply(alpha, tensor_stop_gradient(factor));
}

static tensor *inverse(struct scope *s, tensor *P)
{
    int64_t count = tensor_length(P, -1), iterations = option(s, "iterations");
    tensor *sums = tensor_sum(P, 3); /* [B, H, m, 1] */
    if (option(s, "norm")) {
        tensor *alpha = tensor_scale(tensor_reciprocal(tensor_square(largest_of_all(sums))), 2);
        tensor *V = iterated_inverse(P, tensor_multiply(damped(alpha, P), P), 2, iterations);
        tensor *D = tensor_reciprocal_sqrt(sums);
        return tensor_multiply(tensor_multiply(V, D), tensor_transpose(D, 2, 3));
    }
    tensor *alpha = tensor_scale(tensor_reciprocal(tensor_square(tensor_max(sums, 2))), 1.8);
    P = tensor_add(P, scaled_identity(s->graph, count, 0.01));
    tensor *fixed = tensor_stop_gradient(P);
    tensor *V = iterated_inverse(fixed, tensor_multiply(tensor_stop_gradient(alpha), fixed), 2, iterations);
    return tensor_straight_through(V, tensor_negate(tensor_matmul(V, tensor_matmul(P, V))));
}

/* Head h's kernel attn.conv.weight[h, 0], over the grid of v [B, T, H, d]. */
static tensor *convolved(struct scope *s, tensor *v, struct grid grid)
{
    int64_t heads = v->shape[2], size = option(s, "conv");
    tensor *weight = parameter(s, "attn.conv.weight", init_linear(), 4, SHAPE(heads, 1, size, size));
    weight = tensor_repeat_interleave(tensor_reshape(weight, 3, SHAPE(heads, size, size)), 0, v->shape[3]);
    return split_heads(grid_convolution(merge_heads(v), grid, weight, NULL), heads);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads");
    struct grid grid = grid_of(s, x->shape[1]);
    tensor *q = split_heads(linear(s, "W_q", x, s->width, true), heads);
    tensor *v = split_heads(linear(s, "W_v", x, s->width, true), heads);
    q = tensor_scale(q, pow((double)q->shape[3], -0.25));
    tensor *L = tensor_transpose(landmarks(s, q, grid), 1, 2);
    tensor *A = gaussian_kernel(tensor_transpose(q, 1, 2), L); /* [B, H, T, m] */
    tensor *values =
        tensor_matmul(inverse(s, gaussian_kernel(L, L)), tensor_matmul_tn(A, tensor_transpose(v, 1, 2)));
    tensor *o = tensor_transpose(tensor_matmul(A, values), 1, 2);
    if (option(s, "conv"))
        o = tensor_add(o, convolved(s, v, grid));
    return linear(s, "ff", merge_heads(o), s->width, true);
}

/* The first iterate's scale, as far as the iterations do not forget it. */
static double batch_coupling(const struct scope *s)
{
    if (!option(s, "norm"))
        return 0;
    return option(s, "iterations") < 20 ? 1 : 0.05;
}

static const char *validate(const struct scope *s)
{
    if (validate_heads(s))
        return validate_heads(s);
    return option(s, "conv") && option(s, "conv") % 2 == 0 ? "conv must be odd, or 0 for none" : NULL;
}

KERNEL(softmax_free_attention) = {
    .name = "softmax-free-attention",
    .slot = SLOT_MIXER,
    .variant = "soft",
    .summary =
        "a Gaussian kernel of queries through landmarks of a grid's patches, inverted by Newton's iterations",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("ratio", 2, 2, 1024, "rows and columns of a landmark's patch"),
                       INTEGER_OPTION("conv", 3, 0, 255, "size of the convolution of values; 0: none"),
                       INTEGER_OPTION("iterations", 20, 0, 256, "of the inverse"),
                       FLAG_OPTION("norm", 0,
                                   "the inverse is normalised by the roots of its kernel's row sums"),
                       COLUMNS_OPTION),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "none"}, {"heads", "multiple"},
                             {"visibility", "landmark"}, {"state", "none"}, {"time", "cubic"},
                             {"causality", "bidirectional"}),
    .batch_coupling = batch_coupling,
    .validate = validate,
    .forward = forward,
};
