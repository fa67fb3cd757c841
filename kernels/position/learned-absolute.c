/* Learned absolute positions (gpt1; tried in transformer, section 3.5): a trained vector for each position is
 * added to the stack's input, x_t + p_t. There are `length` of them; later positions have none. */
#include "block/kernel.h"

static tensor *embed(struct scope *s, tensor *x)
{
    int64_t length = option(s, "length"), end = s->position + x->shape[1];
    if (end > length)
        kernel_fail(s, "position %lld is beyond the %lld learned ones (option length)", (long long)end - 1,
                    (long long)length);
    tensor *positions = parameter(s, "weight", init_normal(0.02), 2, SHAPE(length, s->width));
    return tensor_add(x, tensor_slice(positions, 0, s->position, x->shape[1]));
}

KERNEL(learned_absolute) = {
    .name = "learned-absolute",
    .slot = SLOT_POSITION,
    .variant = "gpt1",
    .summary = "adds a trained vector for each position to the input",
    .options = OPTIONS(INTEGER_OPTION("length", 1024, 1, 1 << 24, "positions that have a vector")),
    .characters = CHARACTERS({"position", "absolute"}),
    .embed = embed,
};
