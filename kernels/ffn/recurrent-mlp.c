/* A recurrence in the feed-forward network (simple-recurrence; the formulas as set out in
 * Doraemonzzz/Transformer-Evolution-Paper, FFN/004.md):
 *
 *     u = x W1,   g = x W2,   c_t = silu(c_{t-k} - u_t) + u_t,   c = 0 before the first token
 *     y = ((c + b_c) * sigmoid(g + b_g)) W3 + b_3
 *
 * With k > 1 tokens go k at a time, so that there are 1 / k as many steps. With hidden = 8 / 3 width there
 * are as many weights as in the usual two maps. */
#include "../mixer/recurrent/kept-state.h"

/* c of u [B, T, C], k tokens at a time: each sees the k before. */
static tensor *recurrence(struct scope *s, tensor *u, int64_t k)
{
    int64_t batch = u->shape[0], length = u->shape[1], channels = u->shape[2];
    int64_t steps = (length + k - 1) / k;
    tensor *before = NULL;
    if (s->state)
        before = state(s, "c", 0, 3, SHAPE(batch, k, channels));
    u = tensor_pad(u, 1, 0, steps * k - length, 0);
    u = tensor_reshape(u, 3, SHAPE(batch, steps, k * channels));
    struct recurrent_cell *cell = cell_over(u);
    int c = cell_state(cell, k * channels,
                       before ? tensor_reshape(before, 3, SHAPE(batch, 1, k * channels)) : NULL);
    int input = cell_input(cell, u);
    int change = cell_unary(cell, UNARY_silu, cell_binary(cell, BINARY_subtract, c, input));
    int next = cell_binary(cell, BINARY_add, change, input);
    cell_update(cell, c, next);
    tensor *all = tensor_reshape(cell_run(cell, next), 3, SHAPE(batch, steps * k, channels));
    all = tensor_slice(all, 1, 0, length);
    if (s->state)
        state_set(s, "c", newest_rows(before, all, k));
    return all;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t hidden = option_or(s, "hidden", option_width(s, "expand"));
    tensor *c = recurrence(s, linear(s, "w1", x, hidden, false), option(s, "group"));
    c = tensor_add(c, parameter(s, "bias_c", init_constant(0), 1, SHAPE(hidden)));
    tensor *gate = tensor_sigmoid(linear(s, "w2", x, hidden, true));
    return linear(s, "w3", tensor_multiply(c, gate), s->width, true);
}

KERNEL(recurrent_mlp) = {
    .name = "recurrent-mlp",
    .slot = SLOT_FFN,
    .variant = "simple-recurrence",
    .summary = "a hidden layer that recurs channel by channel, gated by a second projection",
    .options = OPTIONS(REAL_OPTION("expand", 8.0 / 3, 0.01, 64, "hidden channels over width"),
                       INTEGER_OPTION("hidden", 0, 0, 1 << 24, "hidden channels; 0: expand * width"),
                       INTEGER_OPTION("group", 1, 1, 1 << 16, "tokens of one step of the recurrence")),
    .characters = CHARACTERS({"ffn", "mlp"}, {"ffn-gate", "multiplicative"}, {"state", "vector"},
                             {"causality", "causal"}, {"decode-cost", "constant"}, {"time", "linear"}),
    .forward = forward,
    .step = forward,
};
