/* The layer norm of complex numbers: real and imaginary parts of a token's channels have a layer norm each, A
 * and B as published with complex-transformer (muqiaoy/dl_signal TransformerEncoderLayer), or `shared` one
 * with the same weights (complex-order). */
#include "../complex-parts.h"

static tensor *forward(struct scope *s, tensor *x)
{
    double epsilon = option_real(s, "epsilon");
    tensor *parts = complex_parts(s, x);
    if (option(s, "shared")) {
        const int64_t *shape = SHAPE(s->width / 2);
        tensor *weight = parameter(s, "weight", init_constant(1), 1, shape);
        tensor *bias = parameter(s, "bias", init_constant(0), 1, shape);
        return complex_channels(s, tensor_layer_norm(parts, weight, bias, epsilon));
    }
    tensor *both[] = {layer_norm(s, "A", tensor_slice(parts, 0, 0, 1), epsilon),
                      layer_norm(s, "B", tensor_slice(parts, 0, 1, 1), epsilon)};
    return complex_channels(s, tensor_concat(2, both, 0));
}

KERNEL(complex_layernorm) = {
    .name = "complex-layernorm",
    .slot = SLOT_NORM,
    .variant = "complex-transformer",
    .summary = "real and imaginary parts have a layer norm each",
    .options = OPTIONS(REAL_OPTION("epsilon", 1e-5, 0, 1, "added to the variances"),
                       FLAG_OPTION("shared", 0, "of the same weights"), HALVES_OPTION),
    .characters = CHARACTERS({"norm", "layer"}),
    .validate = validate_complex_width,
    .forward = forward,
    .step = forward,
};
