/* The feed-forward network of complex numbers (complex-transformer; muqiaoy/dl_signal TransformerEncoderLayer
 * and ComplexLinear; also complex-order, whose maps are convolutions over one token). The rectifier acts on
 * real and imaginary part:
 *
 *     z -> F2(relu(F1(z))),    F(a + i b) = r(a) - i(b) + i (r(b) + i(a))
 *         with affine maps r = fc_r and i = fc_i */
#include "../complex-parts.h"

/* [2, B, T, I] -> [2, B, T, O], real parts first */
static tensor *complex_map(struct scope *s, const char *name, tensor *parts, int64_t outputs)
{
    tensor *r = linear(s, part_name(s, "%s.fc_r", name), parts, outputs, true);
    tensor *i = linear(s, part_name(s, "%s.fc_i", name), parts, outputs, true);
    tensor *real_part = tensor_subtract(tensor_slice(r, 0, 0, 1), tensor_slice(i, 0, 1, 1));
    tensor *imaginary = tensor_add(tensor_slice(r, 0, 1, 1), tensor_slice(i, 0, 0, 1));
    return tensor_concat(2, (tensor *[]){real_part, imaginary}, 0);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t channels = s->width / 2;
    int64_t hidden = option_or(s, "hidden", (int64_t)(option_real(s, "expand") * (double)channels));
    tensor *h = tensor_relu(complex_map(s, "fc1", complex_parts(s, x), hidden));
    return complex_channels(s, complex_map(s, "fc2", h, channels));
}

KERNEL(complex_mlp) = {
    .name = "complex-mlp",
    .slot = SLOT_FFN,
    .variant = "complex-transformer",
    .summary = "complex linear maps with a rectifier of both parts between",
    .options = OPTIONS(REAL_OPTION("expand", 1, 0.01, 64, "hidden channels over complex ones"),
                       INTEGER_OPTION("hidden", 0, 0, 1 << 24,
                                      "complex hidden channels; 0: expand * width / 2"),
                       HALVES_OPTION),
    .characters = CHARACTERS({"ffn", "mlp"}, {"ffn-gate", "none"}),
    .validate = validate_complex_width,
    .forward = forward,
    .step = forward,
};
