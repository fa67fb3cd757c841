/* Gated linear units in the feed-forward network (glu): y = (act(x Wg) * (x Wu)) Wd, without biases. act:
 * sigmoid GLU, relu ReGLU, gelu GEGLU, silu SwiGLU. Parameter names are LLaMA's; fused, Wu and Wg are the
 * halves of one matrix.
 *
 * With series > 1 the gate is sum_i act(a_i * (x Wg) + b_i), a trained scale and shift for each term and
 * channel (pangu-pi, section 4.2, eq. 7). */
#include "block/kernel.h"

static tensor *activate(struct scope *s, tensor *gate)
{
    const char *activation = option_choice(s, "activation");
    int64_t terms = option(s, "series"), hidden = tensor_length(gate, -1);
    if (terms == 1)
        return tensor_activation(gate, activation);
    tensor *scales = parameter(s, "series.weight", init_constant(1), 2, SHAPE(terms, hidden));
    tensor *shifts = parameter(s, "series.bias", init_uniform(-1, 1), 2, SHAPE(terms, hidden));
    tensor *sum = NULL;
    for (int64_t i = 0; i < terms; i++) {
        tensor *term = tensor_multiply(gate, tensor_slice(scales, 0, i, 1));
        term = tensor_activation(tensor_add(term, tensor_slice(shifts, 0, i, 1)), activation);
        sum = sum ? tensor_add(sum, term) : term;
    }
    return sum;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t hidden = option_or(s, "hidden", (int64_t)(option_real(s, "expand") * (double)s->width));
    tensor *up, *gate;
    if (option_is(s, "projections", "fused")) {
        tensor *both = linear(s, "up_gate_proj", x, 2 * hidden, option(s, "bias"));
        up = tensor_slice(both, 2, 0, hidden);
        gate = tensor_slice(both, 2, hidden, hidden);
    } else {
        gate = linear(s, "gate_proj", x, hidden, option(s, "bias"));
        up = linear(s, "up_proj", x, hidden, option(s, "bias"));
    }
    gate = activate(s, gate);
    return linear(s, "down_proj", tensor_multiply(gate, up), s->width, option(s, "bias"));
}

KERNEL(gated_mlp) = {
    .name = "gated-mlp",
    .slot = SLOT_FFN,
    .variant = "glu",
    .summary = "a feed-forward network whose hidden layer is gated by a second projection",
    .options = OPTIONS(CHOICE_OPTION("activation", "silu|sigmoid|relu|gelu|gelu_tanh|identity",
                                     "of the gate"),
                       REAL_OPTION("expand", 8.0 / 3, 0.01, 64, "hidden channels over width"),
                       INTEGER_OPTION("hidden", 0, 0, 1 << 24, "hidden channels; 0: expand * width"),
                       INTEGER_OPTION("series", 1, 1, 64, "shifted and scaled copies of the activation"),
                       CHOICE_OPTION("projections", "separate|fused", "one matrix each, or one for both"),
                       FLAG_OPTION("bias", 0, "linear maps have biases")),
    .characters = CHARACTERS({"ffn", "mlp"}, {"ffn-gate", "multiplicative"}),
    .forward = forward,
    .step = forward,
};
