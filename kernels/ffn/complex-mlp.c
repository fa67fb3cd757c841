/* The feed-forward network of complex numbers (complex-transformer; muqiaoy/dl_signal TransformerEncoderLayer and ComplexLinear). Channels
 * are pairs of real and imaginary part, and the rectifier acts on both:
 *
 *     z -> F2(relu(F1(z))),    F(a + i b) = r(a) - i(b) + i (r(b) + i(a))    with affine maps r = fc_r and i = fc_i */
#include "block/kernel.h"

/* x [B, T, I, 2] -> [B, T, O, 2] */
static tensor *complex_map(struct scope *s, const char *name, tensor *x, int64_t outputs)
{
    tensor *parts = tensor_permute(x, (const int[]){3, 0, 1, 2}); /* [2, B, T, I] */
    tensor *r = linear(s, part_name(s, "%s.fc_r", name), parts, outputs, true);
    tensor *i = linear(s, part_name(s, "%s.fc_i", name), parts, outputs, true);
    tensor *real_part = tensor_subtract(tensor_slice(r, 0, 0, 1), tensor_slice(i, 0, 1, 1));
    tensor *imaginary = tensor_add(tensor_slice(r, 0, 1, 1), tensor_slice(i, 0, 0, 1));
    return tensor_permute(tensor_concat(2, (tensor *[]){real_part, imaginary}, 0), (const int[]){1, 2, 3, 0});
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t channels = s->width / 2;
    int64_t hidden = option_or(s, "hidden", (int64_t)(option_real(s, "expand") * (double)channels));
    tensor *z = tensor_reshape(x, 4, SHAPE(x->shape[0], x->shape[1], channels, 2));
    z = complex_map(s, "fc2", tensor_relu(complex_map(s, "fc1", z, hidden)), channels);
    return tensor_reshape(z, 3, x->shape);
}

static const char *validate(const struct scope *s)
{
    return s->width % 2 ? "complex numbers take an even width" : NULL;
}

KERNEL(complex_mlp) = {
    .name = "complex-mlp",
    .slot = SLOT_FFN,
    .variant = "complex-transformer",
    .summary = "complex linear maps with a rectifier of both parts between",
    .options = OPTIONS(REAL_OPTION("expand", 1, 0.01, 64, "hidden channels over complex ones"),
                       INTEGER_OPTION("hidden", 0, 0, 1 << 24,
                                      "complex hidden channels; 0: expand * width / 2")),
    .characters = CHARACTERS({"ffn", "mlp"}, {"ffn-gate", "none"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
