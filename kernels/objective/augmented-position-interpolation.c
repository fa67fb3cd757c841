/* Augmented position interpolation (e2-llm, section 4.2; no code is published): one training on short texts
 * for all later window sizes, by interpolated positions whose scale g and offset t are drawn anew for each
 * text.
 *
 *     place of token m = (m + t) / g,
 *         without t for the first `kept` tokens: a shift of all would not show in relative positions
 *
 * The inputs "scale" and "offset" [B] are a step's draws. Without them g is `factor`, the ratio of the window
 * to the trained one, and t 0: position interpolation, as the trained model is used. */
#include "draws.h"

static tensor *forward(struct scope *s, tensor *x)
{
    const tensor *scale = further_input(s, "scale"), *offset = further_input(s, "offset");
    int64_t length = x->shape[1];
    bool apart = scale || offset; /* every text has places of its own */
    tensor *places = apart ? tensor_constant(s->graph, NULL, 2, SHAPE(x->shape[0], length))
                           : tensor_constant(s->graph, NULL, 1, SHAPE(length));
    for (int64_t row = 0; row < tensor_size(places); row++) {
        int64_t b = row / length, m = s->position + row % length;
        double g = scale ? drawn(s, scale, b) : option_real(s, "factor");
        double t = offset && m >= option(s, "kept") ? drawn(s, offset, b) : 0;
        places->data[row] = (real)(((double)m + t) / g);
    }
    s->places = places;
    return stack_forward(s, stack_embed(s, x));
}

KERNEL(augmented_position_interpolation) = {
    .name = "augmented-position-interpolation",
    .slot = SLOT_OBJECTIVE,
    .variant = "e2-llm",
    .summary = "interpolated positions with a scale and an offset drawn for each text",
    .options = OPTIONS(REAL_OPTION("factor", 1, 1e-6, 1e6, "scale where none is drawn"),
                       INTEGER_OPTION("kept", 4, 0, 1 << 30, "first tokens that have no offset")),
    .characters = CHARACTERS({"causality", "causal"}),
    .forward = forward,
    .step = forward,
};
