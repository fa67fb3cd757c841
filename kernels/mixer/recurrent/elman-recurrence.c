/* The simple recurrent network (elman-rnn; torch.nn.RNN): h_t = f(W x_t + U h_{t-1} + b), y_t = h_t, f being
 * the logistic function in the paper and tanh since. The map from h to the output is the model's. One token
 * after the other. */
#include "kept-state.h"

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t width = s->width;
    tensor *weight = parameter(s, "weight_ih_l0", init_linear(), 2, SHAPE(width, width));
    tensor *matrix = parameter(s, "weight_hh_l0", init_linear(), 2, SHAPE(width, width));
    tensor *bias = tensor_add(parameter(s, "bias_ih_l0", init_constant(0), 1, SHAPE(width)),
                              parameter(s, "bias_hh_l0", init_constant(0), 1, SHAPE(width)));
    struct recurrent_cell *cell = cell_over(x);
    int h = kept_state(s, cell, x, "h", width, 0);
    int sum = cell_binary(cell, BINARY_add, cell_input(cell, tensor_linear(x, weight, bias)),
                          cell_product(cell, h, matrix));
    int next = cell_unary(cell, option_is(s, "activation", "tanh") ? UNARY_tanh : UNARY_sigmoid, sum);
    cell_update(cell, h, next);
    tensor *y = cell_run(cell, next);
    keep_state(s, cell, "h", h);
    return y;
}

KERNEL(elman_recurrence) = {
    .name = "elman-recurrence",
    .slot = SLOT_MIXER,
    .variant = "elman-rnn",
    .summary = "a hidden state made of the input and its own last value, squashed",
    .options = OPTIONS(CHOICE_OPTION("activation", "sigmoid|tanh", "what squashes the state")),
    .characters = CHARACTERS({"mixing", "vector-state"}, {"normalizer", "none"}, {"heads", "single"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "overwrite"},
                             {"decay", "none"}, {"numbers", "real"}, {"output-gate", "no"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .forward = forward,
    .step = forward,
};
