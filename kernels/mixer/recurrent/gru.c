/* The gated recurrent unit (gru, eq. 5 to 8; with the reset after the product the form of cuDNN and torch.nn.GRU).
 *
 *     r = sigmoid(W_r x_t + U_r h_{t-1} + b_r),   z = sigmoid(W_z x_t + U_z h_{t-1} + b_z),   h_t = z h_{t-1} + (1 - z) g
 *     reset before: g = tanh(W x_t + U (r h_{t-1}) + b)         after: g = tanh(W x_t + b + r (U h_{t-1} + b'))
 *
 * Rows of weight_ih_l0 and weight_hh_l0 are (r, z, g). */
#include "kept-state.h"

/* The candidate g from its input and the reset gate. */
static int candidate(struct scope *s, struct recurrent_cell *cell, int input, int r, int h, tensor *matrix,
                     tensor *bias)
{
    int own;
    if (option_is(s, "reset", "before")) {
        own = cell_product(cell, cell_binary(cell, BINARY_multiply, r, h), matrix);
        own = cell_binary(cell, BINARY_add, own, cell_parameter(cell, bias));
    } else {
        own = cell_binary(cell, BINARY_add, cell_product(cell, h, matrix), cell_parameter(cell, bias));
        own = cell_binary(cell, BINARY_multiply, r, own);
    }
    return cell_unary(cell, UNARY_tanh, cell_binary(cell, BINARY_add, input, own));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t width = s->width;
    tensor *weight = parameter(s, "weight_ih_l0", init_linear(), 2, SHAPE(3 * width, width));
    tensor *matrix = parameter(s, "weight_hh_l0", init_linear(), 2, SHAPE(3 * width, width));
    tensor *bias = parameter(s, "bias_ih_l0", init_constant(0), 1, SHAPE(3 * width));
    tensor *own_bias = parameter(s, "bias_hh_l0", init_constant(0), 1, SHAPE(3 * width));
    tensor *of_gates = tensor_pad(tensor_slice(own_bias, 0, 0, 2 * width), 0, 0, width, 0);

    struct recurrent_cell *cell = cell_over(x);
    int h = kept_state(s, cell, x, "h", width, 0);
    int inputs = cell_input(cell, tensor_linear(x, weight, tensor_add(bias, of_gates)));
    int products = cell_product(cell, h, tensor_slice(matrix, 0, 0, 2 * width)), gates[2];
    for (int i = 0; i < 2; i++)
        gates[i] = cell_unary(cell, UNARY_sigmoid,
                              cell_binary(cell, BINARY_add, cell_part(cell, inputs, 1, i, 3),
                                          cell_part(cell, products, 1, i, 2)));
    int g = candidate(s, cell, cell_part(cell, inputs, 1, 2, 3), gates[0], h,
                      tensor_slice(matrix, 0, 2 * width, width), tensor_slice(own_bias, 0, 2 * width, width));
    int next = cell_mixture(cell, gates[1], h, cell_affine(cell, gates[1], -1, 1), g);
    cell_update(cell, h, next);
    tensor *y = cell_run(cell, next);
    keep_state(s, cell, "h", h);
    return y;
}

KERNEL(gru) = {
    .name = "gru",
    .slot = SLOT_MIXER,
    .variant = "gru",
    .summary = "a hidden state that a reset gate shows to its candidate and an update gate replaces",
    .options = OPTIONS(CHOICE_OPTION("reset", "before|after", "of the product with the state")),
    .characters = CHARACTERS({"mixing", "vector-state"}, {"normalizer", "none"}, {"heads", "single"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "gated"},
                             {"decay", "data-dependent"}, {"decay-grain", "channel"}, {"numbers", "real"},
                             {"output-gate", "no"}, {"time", "linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .forward = forward,
    .step = forward,
};
