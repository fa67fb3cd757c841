/* Groups of channels move by one cell of the token grid, each in a direction of its own: S is four groups by
 * four directions, the channels after them stay.
 *
 *     bare:             y = S x
 *     mlp:              y = W2 S gelu(W1 x + b1) + b2
 *     split_attention:  (u1, u2, u3) = W1 x + b1,  y = W2 split(S u1, S' u2, u3) + b2
 *         split(z1, z2, z3) = a1 z1 + a2 z2 + a3 z3,  for each channel
 *         (a1, a2, a3) = softmax_k(U2 gelu(U1 sum_{k, t} z_k))
 *
 * These are ShiftViT (shift-vit; microsoft/SPACH ShiftViTBlock), S2-MLP (s2-mlp) and S2-MLPv2 (s2-mlp-v2).
 *
 * S2-MLP moves quarters of the channels down, up, right and left, S' right, left, down and up; cells at the
 * border from which a group leaves keep their values. ShiftViT moves 1 / `divisions` of the channels left,
 * right, up and down, and zeros enter. S2-MLPv2's names are those of xmu-xiaoma666/External-Attention-pytorch
 * S2Attention, whose assignments in place stand for these shifts. */
#include "../grid.h"
#include <string.h>

enum { DIRECTIONS = 4 };
static const struct direction {
    int axis, by;
} left_first[] = {{2, -1}, {2, 1}, {1, -1}, {1, 1}}, down_first[] = {{1, 1}, {1, -1}, {2, 1}, {2, -1}},
  right_first[] = {{2, 1}, {2, -1}, {1, 1}, {1, -1}};

/* A step along an axis where the cells that nothing enters keep what they had. */
static tensor *shift_keeping(tensor *x, int axis, int by)
{
    int64_t length = x->shape[axis];
    if (length == 1)
        return x;
    tensor *moved = tensor_slice(x, axis, by > 0 ? 0 : 1, length - 1);
    tensor *border = tensor_slice(x, axis, by > 0 ? 0 : length - 1, 1);
    return tensor_concat(2, by > 0 ? (tensor *[]){border, moved} : (tensor *[]){moved, border}, axis);
}

static tensor *shifted(struct scope *s, tensor *x, const struct direction *directions)
{
    struct grid grid = grid_of(s, x->shape[1]);
    int64_t channels = x->shape[2], divisions = option(s, "divisions"), start = 0;
    tensor *parts[DIRECTIONS + 1], *cells = NULL;
    int count = 0;
    cells = tensor_reshape(x, 4, SHAPE(x->shape[0], grid.rows, grid.columns, channels));
    for (int i = 0; i < DIRECTIONS; i++) {
        int64_t end =
            divisions == DIRECTIONS ? (i + 1) * channels / DIRECTIONS : (i + 1) * (channels / divisions);
        if (end == start)
            continue;
        tensor *group = tensor_slice(cells, 3, start, end - start);
        parts[count++] = option_is(s, "border", "keep")
                             ? shift_keeping(group, directions[i].axis, directions[i].by)
                             : tensor_shift(group, directions[i].axis, directions[i].by);
        start = end;
    }
    if (start < channels)
        parts[count++] = tensor_slice(cells, 3, start, channels - start);
    return tensor_reshape(tensor_concat(count, parts, 3), 3, x->shape);
}

/* The sum of three parts [B, T, D] by shares of each channel that follow from all tokens. */
static tensor *split_attention(struct scope *s, tensor *const *parts)
{
    int64_t batch = parts[0]->shape[0], width = s->width;
    tensor *a = tensor_sum(tensor_add(tensor_add(parts[0], parts[1]), parts[2]), 1);
    a = tensor_gelu(linear(s, "split_attention.mlp1", a, width, false));
    a = linear(s, "split_attention.mlp2", a, 3 * width, false);
    a = tensor_softmax(tensor_reshape(a, 3, SHAPE(batch, 3, width)), 1);
    tensor *y = NULL;
    for (int k = 0; k < 3; k++) {
        tensor *part = tensor_multiply(parts[k], tensor_slice(a, 1, k, 1));
        y = y ? tensor_add(y, part) : part;
    }
    return y;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t width = s->width;
    if (option_is(s, "form", "bare"))
        return shifted(s, x, left_first);
    if (option_is(s, "form", "mlp")) {
        x = tensor_gelu(linear(s, "mlp1", x, width, true));
        return linear(s, "mlp2", shifted(s, x, down_first), width, true);
    }
    tensor *u = linear(s, "mlp1", x, 3 * width, true);
    tensor *parts[] = {shifted(s, tensor_slice(u, 2, 0, width), down_first),
                       shifted(s, tensor_slice(u, 2, width, width), right_first),
                       tensor_slice(u, 2, 2 * width, width)};
    return linear(s, "mlp2", split_attention(s, parts), width, true);
}

static const char *character(const struct scope *s, const char *name)
{
    return strcmp(name, "visibility") == 0 && option_is(s, "form", "split_attention") ? "all" : NULL;
}

static const char *validate(const struct scope *s)
{
    return option(s, "divisions") > s->width ? "divisions is more than the width" : NULL;
}

KERNEL(spatial_shift) = {
    .name = "spatial-shift",
    .slot = SLOT_MIXER,
    .variant = "s2-mlp",
    .summary = "groups of channels move by one cell of the grid in four directions",
    .options = OPTIONS(CHOICE_OPTION("form", "mlp|bare|split_attention",
                                     "between two linear maps, alone, or three parts merged"),
                       INTEGER_OPTION("divisions", 4, 4, 1 << 16, "of the channels, four of which move"),
                       CHOICE_OPTION("border", "keep|zero", "cells that nothing enters"), COLUMNS_OPTION),
    .characters = CHARACTERS({"mixing", "shift"}, {"normalizer", "none"}, {"heads", "per-channel"},
                             {"visibility", "window"}, {"state", "none"}, {"output-gate", "no"},
                             {"time", "linear"}, {"causality", "bidirectional"}),
    .character = character,
    .validate = validate,
    .forward = forward,
};
