/* Residual connections with a trained scale (rezero; majumderb/rezero RZTXEncoderLayer; skipinit; admin;
 * LiyuanLucasLiu/Transformer-Clinic TransformerEncoderLayer):
 *
 *     y = x + a f(x)   on the branch: ReZero, SkipInit      y = a * x + f(x)   on the skip path: Admin
 *
 * a is one number, or one for each channel. ReZero has one a for both branches of a layer (`shared`),
 * SkipInit one for each. Admin starts a at the root of the summed variances of all branches below, taken from
 * a run of the untrained model: set `initial`. */
#include "block/kernel.h"

static tensor *scale(struct scope *s)
{
    bool shared = option(s, "shared");
    tensor *a = shared ? layer_find(s, s->layer, "residual scale") : NULL;
    if (a)
        return a;
    int64_t count = option_is(s, "grain", "channel") ? s->width : 1;
    a = parameter(s, "scale", init_constant(option_real(s, "initial")), 1, SHAPE(count));
    if (shared)
        layer_leave(s, "residual scale", a);
    return a;
}

static tensor *combine(struct scope *s, tensor *x, tensor *branch_output, int branch)
{
    (void)branch;
    tensor *a = scale(s);
    return option_is(s, "scales", "branch") ? tensor_add(x, tensor_multiply(branch_output, a))
                                            : tensor_add(tensor_multiply(x, a), branch_output);
}

KERNEL(scaled_residual) = {
    .name = "scaled-residual",
    .slot = SLOT_RESIDUAL,
    .variant = "skipinit",
    .summary = "the branch or the skip path has a trained scale",
    .options = OPTIONS(CHOICE_OPTION("scales", "branch|skip", "what the scale multiplies"),
                       CHOICE_OPTION("grain", "scalar|channel", "one scale, or one for each channel"),
                       FLAG_OPTION("shared", 0, "one for both branches of a layer"),
                       REAL_OPTION("initial", 0, -1e6, 1e6, "at first")),
    .characters = CHARACTERS({"residual", "scaled"}),
    .combine = combine,
};
