/* Kronecker attention (kronecker-attention, the KAO_QKV operator; lucidrains/kronecker-attention-pytorch
 * KroneckerSelfAttention). The tokens are a grid of h x w; only the means of its rows and of its columns
 * attend to each other:
 *
 *     u = (r_1 .. r_h, c_1 .. c_w),   z = concat_h(softmax(q k^T) v) Wo + b
 *         over these h + w tokens, with no scale
 *     y[i, j] = z[row i] + z[column j]
 *
 * as published, so the bias counts twice. All see all. */
#include "../grid.h"

/* Conv1d of size 1, as published: a linear map with a weight [outputs, inputs, 1]. */
static tensor *pointwise(struct scope *s, const char *name, tensor *x, int64_t outputs, bool bias)
{
    int64_t inputs = x->shape[2];
    tensor *weight =
        parameter(s, part_name(s, "%s.weight", name), init_linear(), 3, SHAPE(outputs, inputs, 1));
    tensor *shift =
        bias ? parameter(s, part_name(s, "%s.bias", name), init_constant(0), 1, SHAPE(outputs)) : NULL;
    return tensor_linear(x, tensor_reshape(weight, 2, SHAPE(outputs, inputs)), shift);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = head_dim(s), batch = x->shape[0], width = x->shape[2];
    struct grid grid = grid_of(s, x->shape[1]);
    tensor *cells = tensor_reshape(x, 4, SHAPE(batch, grid.rows, grid.columns, width));
    tensor *rows = tensor_reshape(tensor_mean(cells, 2), 3, SHAPE(batch, grid.rows, width));
    tensor *columns = tensor_reshape(tensor_mean(cells, 1), 3, SHAPE(batch, grid.columns, width));
    tensor *u = tensor_concat(2, (tensor *[]){rows, columns}, 1);
    tensor *qkv = pointwise(s, "to_qkv", u, 3 * heads * d, false), *parts[3];
    for (int i = 0; i < 3; i++)
        parts[i] = split_heads(tensor_slice(qkv, 2, i * heads * d, heads * d), heads);
    tensor *o = tensor_attention(parts[0], parts[1], parts[2], &(struct attention_options){.scale = 1});
    tensor *z = pointwise(s, "to_out", merge_heads(o), width, true);
    rows = tensor_reshape(tensor_slice(z, 1, 0, grid.rows), 4, SHAPE(batch, grid.rows, 1, width));
    columns =
        tensor_reshape(tensor_slice(z, 1, grid.rows, grid.columns), 4, SHAPE(batch, 1, grid.columns, width));
    return tensor_reshape(tensor_add(rows, columns), 3, x->shape);
}

static const char *character(const struct scope *s, const char *name)
{
    return name[0] == 't' && option(s, "columns") ? "quadratic"
                                                  : NULL; /* a grid that grows in one direction */
}

KERNEL(kronecker_attention) = {
    .name = "kronecker-attention",
    .slot = SLOT_MIXER,
    .variant = "kronecker-attention",
    .summary = "attention among the means of the rows and of the columns of a grid, added back to each cell",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       COLUMNS_OPTION),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "compressed"}, {"state", "none"}, {"time", "linear"},
                             {"causality", "bidirectional"}),
    .character = character,
    .validate = validate_heads,
    .forward = forward,
};
