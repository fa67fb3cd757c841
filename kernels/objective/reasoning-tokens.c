/* Self-reasoning tokens (self-reasoning-tokens; lucidrains/self-reasoning-tokens-pytorch Transformer): behind
 * every token stand r trained rows, which have the token's position, go through the layers with it, and are
 * not scored.
 *
 *     rows of step t: x_t, reason_tokens[0], .., reason_tokens[r - 1]
 *
 * Rows see all rows before them, except that a reason row of step s is hidden from steps s + 1 .. s +
 * `hidden`: what is computed there can only serve predictions further ahead. Published code that stops
 * gradients in place of hiding does not run and is left out. */
#include "block/kernel.h"
#include <math.h>

/* -infinity where one of the newest `rows` rows does not see one of all `count`: [1, 1, rows, count]. */
static tensor *mask(struct scope *s, int64_t rows, int64_t count)
{
    int64_t group = option(s, "tokens") + 1, hidden = option(s, "hidden");
    tensor *values = tensor_constant(s->graph, NULL, 4, SHAPE(1, 1, rows, count));
    for (int64_t row = 0; row < rows; row++)
        for (int64_t j = 0; j < count; j++) {
            int64_t i = count - rows + row, steps = i / group - j / group;
            bool seen = j <= i && (j % group == 0 || steps == 0 || steps > hidden);
            values->data[row * count + j] = seen ? 0 : -(real)INFINITY;
        }
    return values;
}

/* Where rows from `first` on stand. */
static tensor *places(struct graph *graph, int64_t first, int64_t rows, int64_t group)
{
    tensor *place = tensor_constant(graph, NULL, 1, SHAPE(rows));
    for (int64_t i = 0; i < rows; i++)
        place->data[i] = (real)((first + i) / group);
    return place;
}

/* The reason rows of every step: [B, T, r, D]. */
static tensor *reason_rows(struct scope *s, int64_t batch, int64_t length)
{
    int64_t r = option(s, "tokens"), d = s->width;
    tensor *tokens = parameter(s, "reason_tokens", init_normal(0.02), 2, SHAPE(r, d));
    tokens = tensor_reshape(tokens, 4, SHAPE(1, r, 1, d));
    tokens = tensor_broadcast(tokens, 4, SHAPE(batch, r, length, d));
    tokens = stack_embed(s, tensor_reshape(tokens, 3, SHAPE(batch * r, length, d)));
    return tensor_transpose(tensor_reshape(tokens, 4, SHAPE(batch, r, length, d)), 1, 2);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t batch = x->shape[0], length = x->shape[1], group = option(s, "tokens") + 1;
    int64_t rows = length * group, earlier = s->position * group;
    tensor *tokens = tensor_reshape(stack_embed(s, x), 4, SHAPE(batch, length, 1, s->width));
    tensor *all = tensor_concat(2, (tensor *[]){tokens, reason_rows(s, batch, length)}, 2);
    struct scope inside = *s;
    inside.position = earlier;
    inside.memory_mask = mask(s, rows, earlier + rows);
    inside.places = places(s->graph, earlier, rows, group);
    tensor *y = stack_forward(&inside, tensor_reshape(all, 3, SHAPE(batch, rows, s->width)));
    y = tensor_slice_step(y, 1, 0, length, group);
    return option(s, "final_norm") ? rms_norm(s, "norm", y, option_real(s, "epsilon")) : y;
}

KERNEL(reasoning_tokens) = {
    .name = "reasoning-tokens",
    .slot = SLOT_OBJECTIVE,
    .variant = "self-reasoning-tokens",
    .summary = "trained rows behind every token that the next steps do not see",
    .options = OPTIONS(INTEGER_OPTION("tokens", 1, 1, 1 << 16, "rows behind every token"),
                       INTEGER_OPTION("hidden", 2, 0, 1 << 30, "next steps that do not see them"),
                       FLAG_OPTION("final_norm", 1, "an RMS norm after the last layer"),
                       REAL_OPTION("epsilon", 1e-6, 0, 1, "of that norm")),
    .characters = CHARACTERS({"causality", "causal"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}),
    .forward = forward,
    .step = forward,
};
