/* Augmented shortcuts (pangu-pi, section 4.1; huawei-noah/Efficient-AI-Backbones augvit.py Block): beside the
 * identity stand n maps of what the branch gets, its norm included,
 *
 *     y = scale (x + f(u) + sum_i S_i(u)),   u = norm(x)
 *
 *     dense       S(u) = act(u W^T + b)
 *     circulant   the same with W cut into `blocks` x `blocks` squares of side e = D / blocks that have e
 *                 weights each: entry (i, j) of square (I, J) is w[(I blocks + J) e + (i - j) mod e]
 *     bottleneck  S(u) = act(u W1^T + b1) W2^T + b2 through D / reduction channels, as PanGu-pi has it, which
 *                 leaves the feed-forward network its plain shortcut (`around` mixer) */
#include "block/kernel.h"
#include <math.h>

/* S [D, D] from its weights. */
static tensor *circulant(struct scope *s, const char *name)
{
    int64_t width = s->width, blocks = option(s, "blocks"), side = width / blocks;
    double bound = 1 / sqrt((double)width);
    tensor *weights = parameter(s, part_name(s, "%s.weight_list", name), init_uniform(-bound, bound), 1,
                                SHAPE(blocks * width));
    tensor *places = tensor_constant(s->graph, NULL, 2, SHAPE(width, width));
    for (int64_t i = 0; i < width; i++)
        for (int64_t j = 0; j < width; j++)
            places->data[i * width + j] =
                (real)((i / side * blocks + j / side) * side + (i % side - j % side + side) % side);
    return tensor_rows(weights, places);
}

static tensor *shortcut(struct scope *s, const char *name, tensor *u)
{
    const char *activation = option_choice(s, "activation");
    tensor *y;
    if (option_is(s, "form", "bottleneck")) {
        int64_t narrow = s->width / option(s, "reduction");
        y = linear(s, part_name(s, "%s.down", name), u, narrow > 0 ? narrow : 1, true);
        return linear(s, part_name(s, "%s.up", name), tensor_activation(y, activation), s->width, true);
    }
    if (option_is(s, "form", "circulant")) {
        tensor *bias = parameter(s, part_name(s, "%s.bias", name), init_constant(0), 1, SHAPE(s->width));
        y = tensor_linear(u, circulant(s, name), bias);
    } else {
        y = linear(s, name, u, s->width, true);
    }
    return tensor_activation(y, activation);
}

static tensor *combine(struct scope *s, tensor *x, tensor *branch_output, int branch)
{
    tensor *y = tensor_add(x, branch_output);
    if (branch == 1 && option_is(s, "around", "mixer"))
        return y;
    for (int i = 0; i < option(s, "shortcuts"); i++)
        y = tensor_add(y, shortcut(s, part_name(s, "shortcuts.%d", i), s->branch_input));
    return tensor_scale(y, option_real(s, "scale"));
}

static const char *validate(const struct scope *s)
{
    if (option_is(s, "form", "circulant") && s->width % option(s, "blocks"))
        return "the width is not divisible by blocks";
    return NULL;
}

KERNEL(augmented_shortcut) = {
    .name = "augmented-shortcut",
    .slot = SLOT_RESIDUAL,
    .variant = "pangu-pi",
    .summary = "linear maps of the branch's input stand beside the identity",
    .options = OPTIONS(INTEGER_OPTION("shortcuts", 1, 1, 16, "maps beside the identity"),
                       CHOICE_OPTION("form", "dense|circulant|bottleneck", "of the maps"),
                       CHOICE_OPTION("around", "both|mixer", "the branches that have them"),
                       INTEGER_OPTION("reduction", 32, 1, 1 << 16, "width over a bottleneck's channels"),
                       INTEGER_OPTION("blocks", 4, 1, 1 << 16, "of a circulant matrix, each way"),
                       CHOICE_OPTION("activation", "identity|gelu|gelu_tanh|silu|relu", "in the maps"),
                       REAL_OPTION("scale", 1, 1e-6, 1e6, "of the sum")),
    .characters = CHARACTERS({"residual", "scaled"}),
    .validate = validate,
    .combine = combine,
};
