/* The sLSTM layer (xlstm, eq. 8 to 18; NX-AI/xlstm sLSTMLayer): an LSTM with exponential input gates and a
 * normaliser, whose heads mix their own channels from token to token.
 *
 *     u = silu(conv(x)),
 *         i, f from u and z, o from x by block-diagonal maps, each plus R y_{t-1} + b per head
 *     c_t = f' c_{t-1} + i' tanh(z),   n_t = f' n_{t-1} + i',   y_t = sigmoid(o) c_t / n_t
 *     i' = exp(i - m_t),  f' = exp(m_{t-1} + logsigmoid(f) - m_t),  m_t = max(m_{t-1} + logsigmoid(f), i)
 *
 * and a norm of each head of y, times 1 + w. m scales c and n alike, so it is a constant of the gradient. As
 * published, the map named fgate makes i and igate makes f. */
#include "kept-state.h"
#include <math.h>

/* Gate-major [4, H, d]: only forget gates start off zero, from open to nearly closed over a head's channels,
 * earlier in deep layers. */
static void gate_biases(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)rank;
    int64_t width = shape[0] / 4, d = width / option(s, "heads");
    double depth = s->layers > 1 ? (double)s->layer / (double)(s->layers - 1) : 0;
    for (int64_t n = 0; n < shape[0]; n++) {
        double place = d > 1 ? (double)(n % d) / (double)(d - 1) : 0;
        values[n] = n / width == 1 ? (real)(5 - 12 * pow(place, 0.3 + 1.3 * depth)) : 0;
    }
}

/* [B, T, H, d] */
static tensor *gate(struct scope *s, const char *name, tensor *x)
{
    int64_t heads = option(s, "heads"), d = s->width / heads;
    tensor *w = parameter(s, part_name(s, "%s.weight", name), init_normal(sqrt(0.4 / (double)d)), 3,
                          SHAPE(heads, d, d));
    return per_head_product(split_heads(x, heads), w, true);
}

/* All four gates' inputs, head by head: [B, T, H (i, f, z, o) d]. */
static tensor *gate_inputs(struct scope *s, tensor *u, tensor *x)
{
    int64_t heads = option(s, "heads"), d = s->width / heads;
    tensor *gates[] = {gate(s, "fgate", u), gate(s, "igate", u), gate(s, "zgate", x), gate(s, "ogate", x)};
    tensor *bias = parameter(s, "slstm_cell._bias_", init_function(gate_biases), 1, SHAPE(4 * s->width));
    bias = tensor_transpose(tensor_reshape(bias, 3, SHAPE(4, heads, d)), 0, 1);
    return merge_heads(tensor_add(tensor_concat(4, gates, 3), tensor_reshape(bias, 2, SHAPE(heads, 4 * d))));
}

static tensor *recurrence(struct scope *s, tensor *inputs)
{
    int64_t heads = option(s, "heads"), d = s->width / heads;
    tensor *matrices =
        parameter(s, "slstm_cell._recurrent_kernel_", init_constant(0), 3, SHAPE(heads, 4 * d, d));
    struct recurrent_cell *cell = cell_over(inputs);
    int y = kept_state(s, cell, inputs, "y", s->width, 0), c = kept_state(s, cell, inputs, "c", s->width, 0),
        n = kept_state(s, cell, inputs, "n", s->width, 0),
        m = kept_state(s, cell, inputs, "m", s->width, -1e30);
    int gates = cell_binary(cell, BINARY_add, cell_input(cell, inputs), cell_product(cell, y, matrices));
    int i = cell_part(cell, gates, (int)heads, 0, 4), f = cell_part(cell, gates, (int)heads, 1, 4),
        z = cell_part(cell, gates, (int)heads, 2, 4), o = cell_part(cell, gates, (int)heads, 3, 4);
    int kept = cell_binary(cell, BINARY_add, m, cell_unary(cell, UNARY_log_sigmoid, f));
    int maximum = cell_stop(cell, cell_binary(cell, BINARY_maximum, kept, i));
    int enter = cell_unary(cell, UNARY_exp, cell_binary(cell, BINARY_subtract, i, maximum));
    int keep = cell_unary(cell, UNARY_exp, cell_binary(cell, BINARY_subtract, kept, maximum));
    int memory = cell_mixture(cell, keep, c, enter, cell_unary(cell, UNARY_tanh, z));
    int weight = cell_binary(cell, BINARY_add, cell_binary(cell, BINARY_multiply, keep, n), enter);
    int output = cell_binary(cell, BINARY_multiply, cell_unary(cell, UNARY_sigmoid, o),
                             cell_binary(cell, BINARY_divide, memory, weight));
    cell_update(cell, y, output);
    cell_update(cell, c, memory);
    cell_update(cell, n, weight);
    cell_update(cell, m, maximum);
    tensor *all = cell_run(cell, output);
    keep_state(s, cell, "y", y);
    keep_state(s, cell, "c", c);
    keep_state(s, cell, "n", n);
    keep_state(s, cell, "m", m);
    return all;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t taps = option(s, "conv");
    tensor *u = taps ? tensor_silu(short_convolution(s, "conv1d.conv", x, taps, true)) : x;
    tensor *y = recurrence(s, gate_inputs(s, u, x));
    tensor *w = parameter(s, "group_norm.weight", init_constant(0), 1, SHAPE(s->width));
    y = merge_heads(tensor_layer_norm(split_heads(y, option(s, "heads")), NULL, NULL, 1e-5));
    return tensor_multiply(y, tensor_affine(w, 1, 1));
}

static const char *character(const struct scope *s, const char *name)
{
    return name[0] == 's' && name[1] == 'h' && !option(s, "conv") ? "no" : NULL;
}

KERNEL(slstm) = {
    .name = "slstm",
    .slot = SLOT_MIXER,
    .variant = "xlstm",
    .summary = "an LSTM with exponential gates and a normaliser, recurrent within each head",
    .options = OPTIONS(INTEGER_OPTION("heads", 4, 1, 1024, "heads"),
                       INTEGER_OPTION("conv", 4, 0, 64, "taps of the short convolution; 0: none")),
    .characters = CHARACTERS({"mixing", "vector-state"}, {"normalizer", "max"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "gated"},
                             {"decay", "data-dependent"}, {"decay-grain", "channel"}, {"numbers", "real"},
                             {"short-convolution", "yes"}, {"output-gate", "yes"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .character = character,
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
