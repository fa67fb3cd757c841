/* Gated causal convolutions of all channels (gated-convnet; wavenet):
 *
 *     (a, b) = W * x + bias,   z_t = f(a_t) sigmoid(b_t)
 *         * over `conv` tokens, `dilation` apart; f: identity (GLU) or tanh (WaveNet)
 *     y = z, or with a map of one token in addition y = z Wr
 *
 * With `cycle` c the dilation of layer l is 2^(l mod c). With `skip` the layer keeps its residual itself, as
 * WaveNet does: y = x + z Wr, while all layers add z Ws to one sum, and the last layer's output is relu of
 * that sum. */
#include "block/kernel.h"

static int64_t dilation(const struct scope *s)
{
    int64_t cycle = option(s, "cycle");
    return cycle ? (int64_t)1 << (s->layer % cycle) : option(s, "dilation");
}

/* Each token beside the `size` - 1 before it that are `apart` tokens from each other, oldest first:
 * [B, T, size D]. */
static tensor *dilated_tokens(struct scope *s, tensor *x, int64_t size, int64_t apart)
{
    int64_t earlier = (size - 1) * apart, length = x->shape[1];
    tensor *rows = tensor_pad(x, 1, earlier, 0, 0), *parts[64];
    if (s->state && earlier > 0) {
        tensor *kept = state(s, "tokens", 0, 3, SHAPE(x->shape[0], earlier, x->shape[2]));
        rows = tensor_concat(2, (tensor *[]){kept, x}, 1);
        state_set(s, "tokens", tensor_slice(rows, 1, length, earlier));
    }
    for (int64_t j = 0; j < size; j++)
        parts[j] = tensor_slice(rows, 1, j * apart, length);
    return tensor_concat((int)size, parts, 2);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t size = option(s, "conv"), hidden = option_or(s, "hidden", s->width), width = s->width;
    tensor *weight = parameter(s, "conv.weight", init_linear(), 3, SHAPE(2 * hidden, width, size));
    tensor *bias = parameter(s, "conv.bias", init_constant(0), 1, SHAPE(2 * hidden));
    weight = tensor_reshape(tensor_transpose(weight, 1, 2), 2, SHAPE(2 * hidden, size * width));
    tensor *both = tensor_linear(dilated_tokens(s, x, size, dilation(s)), weight, bias);
    tensor *a = tensor_activation(tensor_slice(both, 2, 0, hidden), option_choice(s, "activation"));
    tensor *z = tensor_multiply(a, tensor_sigmoid(tensor_slice(both, 2, hidden, hidden)));
    if (!option(s, "skip"))
        return option(s, "projection") ? linear(s, "residual", z, width, true) : z;
    tensor *sum = linear(s, "skip", z, width, true);
    tensor *before = s->layer > 0 ? layer_find(s, s->layer - 1, "skip") : NULL;
    sum = before ? tensor_add(before, sum) : sum;
    layer_leave(s, "skip", sum);
    if (s->layer == s->layers - 1)
        return tensor_relu(sum);
    return tensor_add(x, linear(s, "residual", z, width, true));
}

static const char *validate(const struct scope *s)
{
    bool projects = option(s, "projection") || option(s, "skip");
    return !projects && option_or(s, "hidden", s->width) != s->width
               ? "hidden other than the width takes projection"
               : NULL;
}

KERNEL(gated_convolution) = {
    .name = "gated-convolution",
    .slot = SLOT_MIXER,
    .variant = "wavenet",
    .summary = "a causal convolution of all channels, dilated or not, half of which gates the other",
    .options = OPTIONS(
        INTEGER_OPTION("conv", 4, 1, 64, "taps"),
        INTEGER_OPTION("dilation", 1, 1, 1 << 20, "tokens between taps"),
        INTEGER_OPTION("cycle", 0, 0, 20, "layers over which dilation doubles from 1; 0: fixed"),
        CHOICE_OPTION("activation", "identity|tanh", "of the half that is gated"),
        INTEGER_OPTION("hidden", 0, 0, 1 << 20, "channels of the gated halves; 0: width"),
        FLAG_OPTION("projection", 0, "a linear map after the gate"),
        FLAG_OPTION("skip", 0, "layers add to one sum, which is the output, and keep their residual")),
    .characters = CHARACTERS({"mixing", "convolution"}, {"normalizer", "none"}, {"heads", "single"},
                             {"visibility", "window"}, {"state", "window-cache"}, {"output-gate", "yes"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
