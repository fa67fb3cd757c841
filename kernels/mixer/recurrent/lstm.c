/* The long short-term memory (lstm, with the forget gate of Gers et al. 2000, as it is used since;
 * torch.nn.LSTM).
 *
 *     (i, f, g, o) = W x_t + U h_{t-1} + b,   c_t = sigmoid(f) c_{t-1} + sigmoid(i) tanh(g),
 *         h_t = sigmoid(o) tanh(c_t),   y_t = h_t
 *
 * The paper of 1997 has no forget gate: there f is 1, and g and h are squashed by scaled sigmoids. */
#include "kept-state.h"

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t width = s->width, rows = 4 * width;
    tensor *weight = parameter(s, "weight_ih_l0", init_linear(), 2, SHAPE(rows, width));
    tensor *matrix = parameter(s, "weight_hh_l0", init_linear(), 2, SHAPE(rows, width));
    tensor *bias = tensor_add(parameter(s, "bias_ih_l0", init_constant(0), 1, SHAPE(rows)),
                              parameter(s, "bias_hh_l0", init_constant(0), 1, SHAPE(rows)));
    struct recurrent_cell *cell = cell_over(x);
    int before = kept_state(s, cell, x, "h", width, 0), memory = kept_state(s, cell, x, "c", width, 0);
    int gates = cell_binary(cell, BINARY_add, cell_input(cell, tensor_linear(x, weight, bias)),
                            cell_product(cell, before, matrix));
    int h, c = lstm_memory(cell, gates, memory, &h);
    cell_update(cell, before, h);
    cell_update(cell, memory, c);
    tensor *y = cell_run(cell, h);
    keep_state(s, cell, "h", before);
    keep_state(s, cell, "c", memory);
    return y;
}

KERNEL(lstm) = {
    .name = "lstm",
    .slot = SLOT_MIXER,
    .variant = "lstm",
    .summary = "a memory cell behind input, forget and output gates",
    .characters = CHARACTERS({"mixing", "vector-state"}, {"normalizer", "none"}, {"heads", "single"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "gated"},
                             {"decay", "data-dependent"}, {"decay-grain", "channel"}, {"numbers", "real"},
                             {"output-gate", "yes"}, {"time", "linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .forward = forward,
    .step = forward,
};
