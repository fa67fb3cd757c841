/* A recurrent cell in place of the residual sum (memory-transformer-xl; lucidrains/memory-transformer-xl
 * GRUGating with nBRC):
 *
 *     y = cell(f(x), x)      the branch's output is the cell's input, x its state; the cell: bistable-cell.h
 *
 * With `mogrify` the two first modulate each other in turn, f = 2 sigmoid(Q x) f and x = 2 sigmoid(R f) x, in
 * five rounds of which the first is f's (mogrifier-lstm); Q and R are products of two thin maps through a
 * quarter of the width. */
#include "bistable-cell.h"

enum { ROUNDS = 5 };

static tensor *modulated(struct scope *s, const char *name, tensor *by, tensor *x)
{
    by = linear(s, part_name(s, "mogrify.%s.0.0", name), by, s->width / 4, true);
    by = linear(s, part_name(s, "mogrify.%s.0.1", name), by, s->width, true);
    return tensor_multiply(tensor_scale(tensor_sigmoid(by), 2), x);
}

static tensor *combine(struct scope *s, tensor *x, tensor *branch_output, int branch)
{
    (void)branch;
    for (int round = 0; option(s, "mogrify") && round < ROUNDS; round++)
        if (round % 2 == 0)
            branch_output = modulated(s, "Q", x, branch_output);
        else
            x = modulated(s, "R", branch_output, x);
    return bistable_cell(s, "", branch_output, x);
}

static const char *validate(const struct scope *s)
{
    return option(s, "mogrify") && s->width < 4 ? "mogrify needs a width of at least 4" : NULL;
}

KERNEL(recurrent_gate) = {
    .name = "recurrent-gate",
    .slot = SLOT_RESIDUAL,
    .variant = "memory-transformer-xl",
    .summary = "a bistable recurrent cell takes the branch as its input and x as its state",
    .options = OPTIONS(FLAG_OPTION("mogrify", 0, "branch and skip path modulate each other first")),
    .characters = CHARACTERS({"residual", "gated"}),
    .validate = validate,
    .combine = combine,
};
