/* Patches of the token grid become tokens (vision-transformer, section 3.1, eq. 1; timm's names): with p =
 * sizes[0],
 *
 *     y = [class; W (p x p cells of D channels) + b]
 *         patches row by row; with `class_token` a trained token in front of them
 *
 * The grid is filled up to whole patches with zeros.
 *
 * With several sizes (crossformer; cheerss/CrossFormer PatchEmbed) patches of each size around the same
 * places, p apart, have maps of their own, which give 1/2, 1/4, .. of the channels, the last two the same
 * share. A layer norm may follow. */
#include "../mixer/grid.h"
#include <math.h>

/* The channels that patches of the n-th of `count` sizes give. */
static int64_t share(int64_t width, int n, int count)
{
    return width >> (n == count - 1 ? n : n + 1);
}

/* x with zeros where the last patches of size p would lie outside the grid. */
static tensor *filled(tensor *x, struct grid *grid, int64_t p)
{
    int64_t below = (p - grid->rows % p) % p, beside = (p - grid->columns % p) % p;
    tensor *cells = tensor_reshape(x, 4, SHAPE(x->shape[0], grid->rows, grid->columns, x->shape[2]));
    cells = tensor_pad(tensor_pad(cells, 1, 0, below, 0), 2, 0, beside, 0);
    *grid = (struct grid){grid->rows + below, grid->columns + beside};
    return tensor_reshape(cells, 3, SHAPE(x->shape[0], grid->rows * grid->columns, x->shape[2]));
}

static tensor *forward(struct scope *s, tensor *x)
{
    struct grid grid = grid_of(s, x->shape[1]);
    int count;
    const double *sizes = option_list(s, "sizes", &count);
    int64_t stride = (int64_t)sizes[0];
    tensor *parts[8];
    x = filled(x, &grid, stride);
    for (int n = 0; n < count; n++) {
        const char *name = count > 1 ? part_name(s, "projs.%d", n) : "proj";
        int64_t size = (int64_t)sizes[n], outputs = share(s->width, n, count);
        tensor *weight = parameter(s, part_name(s, "%s.weight", name), init_linear(), 4,
                                   SHAPE(outputs, s->width, size, size));
        tensor *bias = parameter(s, part_name(s, "%s.bias", name), init_constant(0), 1, SHAPE(outputs));
        parts[n] = grid_full_convolution(x, grid, weight, bias, stride, (size - stride) / 2);
    }
    tensor *y = tensor_concat(count, parts, 2);
    if (option(s, "norm"))
        y = layer_norm(s, "norm", y, 1e-5);
    if (!option(s, "class_token"))
        return y;
    tensor *class = parameter(s, "cls_token", init_normal(0.02), 3, SHAPE(1, 1, s->width));
    class = tensor_broadcast(class, 3, SHAPE(x->shape[0], 1, s->width));
    return tensor_concat(2, (tensor *[]){class, y}, 1);
}

static const char *validate(const struct scope *s)
{
    int count;
    const double *sizes = option_list(s, "sizes", &count);
    if (count < 1 || count > 8)
        return "there are one to eight sizes";
    if (s->width % ((int64_t)1 << (count - 1)))
        return "the width is not divisible by 2 for every size but one";
    for (int n = 0; n < count; n++)
        if (sizes[n] != floor(sizes[n]) || fmod(sizes[n] - sizes[0], 2) != 0 || sizes[n] < sizes[0])
            return "sizes are larger than the first by an even number";
    return NULL;
}

KERNEL(patch_embedding) = {
    .name = "patch-embedding",
    .slot = SLOT_EMBEDDING,
    .variant = "vision-transformer",
    .summary = "patches of the token grid become tokens",
    .options = OPTIONS(LIST_OPTION("sizes", "4", 1, 1024, "sides of patches; the first lies between them"),
                       FLAG_OPTION("class_token", 0, "a trained token comes first"),
                       FLAG_OPTION("norm", 0, "a layer norm follows"), COLUMNS_OPTION),
    .characters = CHARACTERS({"time", "linear"}, {"causality", "bidirectional"}),
    .validate = validate,
    .forward = forward,
};
