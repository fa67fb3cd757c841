/* The Mogrifier LSTM (mogrifier, section 2, eq. 1 and 2; lucidrains/mogrifier before torch's LSTMCell): input
 * and state gate each other in turns.
 *
 *     x^0 = x_t,  h^0 = h_{t-1};   for i = 1, 3, ..: x := 2 sigmoid(Q h) x;
 *         for i = 2, 4, ..: h := 2 sigmoid(R x) h
 *     (i, f, g, o) = W x + U h + b,   c_t = sigmoid(f) c_{t-1} + sigmoid(i) tanh(g),
 *         h_t = sigmoid(o) tanh(c_t)
 *
 * As in the code Q and R have biases, which the paper's have not. Factors of Q and R are multiplied once, not
 * at every token. */
#include "kept-state.h"

struct map {
    tensor *weight, *bias;
};

/* W x + b of `outputs`, with a rank above 0 as W2 (W1 x + b1) + b2. */
static struct map modulation(struct scope *s, const char *name, int64_t inputs, int64_t outputs, int64_t rank)
{
    int64_t first = rank ? rank : outputs;
    struct map map = {
        parameter(s, part_name(s, "%s.0.weight", name), init_linear(), 2, SHAPE(first, inputs)),
        parameter(s, part_name(s, "%s.0.bias", name), init_constant(0), 1, SHAPE(first)),
    };
    if (!rank)
        return map;
    tensor *weight = parameter(s, part_name(s, "%s.1.weight", name), init_linear(), 2, SHAPE(outputs, rank));
    tensor *bias = parameter(s, part_name(s, "%s.1.bias", name), init_constant(0), 1, SHAPE(outputs));
    return (struct map){tensor_matmul(weight, map.weight),
                        tensor_linear(tensor_reshape(map.bias, 2, SHAPE(1, rank)), weight, bias)};
}

/* 2 sigmoid(W gate + b) x */
static int modulate(struct recurrent_cell *cell, int x, int gate, tensor *weight, int bias)
{
    int sum = cell_binary(cell, BINARY_add, cell_product(cell, gate, weight), bias);
    return cell_binary(cell, BINARY_multiply, x,
                       cell_affine(cell, cell_unary(cell, UNARY_sigmoid, sum), 2, 0));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t width = s->width, hidden = option_or(s, "hidden", width), rank = option(s, "rank");
    struct map q = modulation(s, "mog.Q", hidden, width, rank),
               r = modulation(s, "mog.R", width, hidden, option_or(s, "hidden_rank", rank));
    tensor *of_input = parameter(s, "cell.weight_ih", init_linear(), 2, SHAPE(4 * hidden, width));
    tensor *of_state = parameter(s, "cell.weight_hh", init_linear(), 2, SHAPE(4 * hidden, hidden));
    tensor *bias = tensor_add(parameter(s, "cell.bias_ih", init_constant(0), 1, SHAPE(4 * hidden)),
                              parameter(s, "cell.bias_hh", init_constant(0), 1, SHAPE(4 * hidden)));

    struct recurrent_cell *cell = cell_over(x);
    int before = kept_state(s, cell, x, "h", hidden, 0), memory = kept_state(s, cell, x, "c", hidden, 0);
    int in = cell_input(cell, x), h = before;
    int q_bias = cell_parameter(cell, q.bias), r_bias = cell_parameter(cell, r.bias);
    for (int64_t i = 0; i < option(s, "rounds"); i++) {
        if (i % 2 == 0)
            in = modulate(cell, in, h, q.weight, q_bias);
        else
            h = modulate(cell, h, in, r.weight, r_bias);
    }
    int gates =
        cell_binary(cell, BINARY_add, cell_product(cell, in, of_input), cell_product(cell, h, of_state));
    gates = cell_binary(cell, BINARY_add, gates, cell_parameter(cell, bias));
    int output, c = lstm_memory(cell, gates, memory, &output);
    cell_update(cell, before, output);
    cell_update(cell, memory, c);
    tensor *y = cell_run(cell, output);
    keep_state(s, cell, "h", before);
    keep_state(s, cell, "c", memory);
    return y;
}

KERNEL(mogrifier_lstm) = {
    .name = "mogrifier-lstm",
    .slot = SLOT_MIXER,
    .variant = "mogrifier",
    .summary = "an LSTM whose input and state gate each other in turns before every step",
    .options = OPTIONS(INTEGER_OPTION("hidden", 0, 0, 1 << 16, "channels of h; 0: width, as a block needs"),
                       INTEGER_OPTION("rounds", 5, 0, 100, "gatings, of input and state in turns"),
                       INTEGER_OPTION("rank", 0, 0, 1 << 16, "rank of the maps to the gates; 0: full"),
                       INTEGER_OPTION("hidden_rank", 0, 0, 1 << 16,
                                      "rank of the map to the state's gate; 0: rank")),
    .characters = CHARACTERS({"mixing", "vector-state"}, {"normalizer", "none"}, {"heads", "single"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "gated"},
                             {"decay", "data-dependent"}, {"decay-grain", "channel"}, {"numbers", "real"},
                             {"output-gate", "yes"}, {"time", "linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .forward = forward,
    .step = forward,
};
