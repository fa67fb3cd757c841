/* NesT's block aggregation (nest; google-research/nested-transformer ConvPool): four neighbouring blocks of
 * an image become one.
 *
 *     y = blocked(maxpool(norm(conv(unblocked(x)))))
 *         conv 3 x 3, maxpool 3 x 3 at every second place, borders filled as "SAME"
 *
 * x [B, n^2 p^2, D] -> [B, n^2 p^2 / 4, D]: n^2 blocks row by row, and in each p^2 tokens row by row, p =
 * `side`. The published network may widen D here, for which a stack of one width has no room. */
#include "../grid.h"
#include <math.h>

/* x [B, n^2 p^2, D] as an image [B, n p, n p, D]; and back. */
static tensor *unblocked(tensor *x, int64_t n, int64_t p)
{
    x = tensor_reshape(x, 6, SHAPE(x->shape[0], n, n, p, p, x->shape[2]));
    x = tensor_permute(x, (const int[]){0, 1, 3, 2, 4, 5});
    return tensor_reshape(x, 4, SHAPE(x->shape[0], n * p, n * p, x->shape[5]));
}

static tensor *blocked(tensor *x, int64_t p)
{
    int64_t n = x->shape[1] / p, D = x->shape[3];
    x = tensor_permute(tensor_reshape(x, 6, SHAPE(x->shape[0], n, p, n, p, D)),
                       (const int[]){0, 1, 3, 2, 4, 5});
    return tensor_reshape(x, 3, SHAPE(x->shape[0], n * n * p * p, D));
}

/* The 3 x 3 neighbours at every `stride`-th place of an image [B, m, m, D]: [B, r, 3, r, 3, D], r = ceil(m /
 * stride). */
static tensor *neighbours(tensor *x, int64_t stride, double fill)
{
    int64_t m = x->shape[1], missing = ((m + stride - 1) / stride - 1) * stride + 3 - m;
    return grid_windows(x, 3, stride, missing / 2, missing - missing / 2, fill);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t B = x->shape[0], T = x->shape[1], D = s->width, p = option(s, "side"), n = 1;
    while (n * n * p * p < T)
        n++;
    if (n * n * p * p != T || n % 2)
        kernel_fail(s, "%lld tokens are no square of an even number of blocks of %lld: %lld would be",
                    (long long)T, (long long)(p * p), (long long)((n + n % 2) * (n + n % 2) * p * p));
    tensor *seen = tensor_permute(neighbours(unblocked(x, n, p), 1, 0), (const int[]){0, 1, 3, 2, 4, 5});
    tensor *w = parameter(s, "conv.kernel", init_normal(1 / sqrt(9 * (double)D)), 4, SHAPE(3, 3, D, D));
    x = tensor_matmul(tensor_reshape(seen, 3, SHAPE(B, T, 9 * D)), tensor_reshape(w, 2, SHAPE(9 * D, D)));
    x = layer_norm(s, "norm", tensor_add(x, parameter(s, "conv.bias", init_constant(0), 1, SHAPE(D))), 1e-6);
    x = neighbours(tensor_reshape(x, 4, SHAPE(B, n * p, n * p, D)), 2, -INFINITY);
    x = tensor_max(tensor_max(x, 4), 2);
    return blocked(tensor_reshape(x, 4, SHAPE(B, x->shape[1], x->shape[3], D)), p);
}

KERNEL(block_aggregation) = {
    .name = "block-aggregation",
    .slot = SLOT_MIXER,
    .variant = "nest",
    .summary = "a convolution and a maximum over places make one block of four",
    .options = OPTIONS(INTEGER_OPTION("side", 4, 1, 4096, "tokens along a side of a block")),
    .characters = CHARACTERS({"mixing", "convolution"}, {"normalizer", "norm"}, {"heads", "single"},
                             {"visibility", "window"}, {"state", "none"}, {"time", "linear"},
                             {"causality", "bidirectional"}),
    .forward = forward,
};
