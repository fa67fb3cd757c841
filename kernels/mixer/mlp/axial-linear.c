/* sMLP (sparse-mlp; xmu-xiaoma666/External-Attention-pytorch sMLPBlock): tokens on a grid of h x w are mixed
 * along columns and along rows by one linear map each, shared by all channels, and both are fused with the
 * input token by token:
 *
 *     y = [Wh x + bh; Ww x + bw; x] Wf + bf
 *
 * Without a grid the tokens are one row of `length` places, the last of which may be empty. */
#include "token-linear.h"
#include <string.h>

static bool has_grid(const struct scope *s)
{
    return option(s, "rows") > 0;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t batch = x->shape[0], length = x->shape[1], width = s->width;
    int64_t rows = 1, columns = length, places = option(s, "length");
    if (has_grid(s)) {
        rows = option(s, "rows");
        places = columns = option(s, "columns");
        if (rows * columns != length)
            kernel_fail(s, "%lld tokens do not fill its grid of %lld x %lld", (long long)length,
                        (long long)rows, (long long)columns);
    }
    if (columns > places)
        kernel_fail(s, "it has weights for %lld tokens only (option length)", (long long)places);
    const int64_t *grid = SHAPE(batch, rows, columns, width), *whole = SHAPE(batch, rows, columns * width);
    tensor *by_column = token_linear(s, "proj_h", tensor_reshape(x, 3, whole), rows, rows, rows);
    tensor *by_row = token_linear(s, "proj_w", tensor_reshape(x, 4, grid), places, places, columns);
    tensor *parts[] = {tensor_reshape(by_column, 3, x->shape), tensor_reshape(by_row, 3, x->shape), x};
    return linear(s, "fuse", tensor_concat(3, parts, 2), width, true);
}

static const char *validate(const struct scope *s)
{
    return (option(s, "rows") > 0) != (option(s, "columns") > 0) ? "a grid has both rows and columns" : NULL;
}

static const char *character(const struct scope *s, const char *name)
{
    return strcmp(name, "time") == 0 && has_grid(s) ? "subquadratic" : NULL;
}

KERNEL(axial_linear) = {
    .name = "axial-linear",
    .slot = SLOT_MIXER,
    .variant = "sparse-mlp",
    .summary = "one linear map along rows and one along columns, fused with the input",
    .options = OPTIONS(INTEGER_OPTION("rows", 0, 0, 1 << 16, "of the grid; 0: all tokens are one row"),
                       INTEGER_OPTION("columns", 0, 0, 1 << 16, "of the grid"),
                       INTEGER_OPTION("length", 1024, 1, 1 << 16, "tokens of that row that have weights")),
    .characters = CHARACTERS({"mixing", "learned-matrix"}, {"normalizer", "none"}, {"heads", "single"},
                             {"visibility", "all"}, {"position", "absolute"}, {"output-gate", "no"},
                             {"time", "quadratic"}, {"causality", "bidirectional"}),
    .character = character,
    .validate = validate,
    .forward = forward,
};
