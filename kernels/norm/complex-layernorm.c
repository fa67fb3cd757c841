/* The layer norm of complex numbers as published with complex-transformer (muqiaoy/dl_signal TransformerEncoderLayer): real and imaginary
 * parts of a token's channels, which stand in pairs, have a layer norm each (A and B). */
#include "block/kernel.h"

static tensor *forward(struct scope *s, tensor *x)
{
    static const char *const names[] = {"A", "B"};
    int64_t channels = s->width / 2;
    tensor *pairs = tensor_reshape(x, 4, SHAPE(x->shape[0], x->shape[1], channels, 2)), *parts[2];
    for (int i = 0; i < 2; i++) {
        tensor *part =
            tensor_reshape(tensor_slice(pairs, 3, i, 1), 3, SHAPE(x->shape[0], x->shape[1], channels));
        part = layer_norm(s, names[i], part, option_real(s, "epsilon"));
        parts[i] = tensor_reshape(part, 4, SHAPE(x->shape[0], x->shape[1], channels, 1));
    }
    return tensor_reshape(tensor_concat(2, parts, 3), 3, x->shape);
}

static const char *validate(const struct scope *s)
{
    return s->width % 2 ? "complex numbers take an even width" : NULL;
}

KERNEL(complex_layernorm) = {
    .name = "complex-layernorm",
    .slot = SLOT_NORM,
    .variant = "complex-transformer",
    .summary = "real and imaginary parts have a layer norm each",
    .options = OPTIONS(REAL_OPTION("epsilon", 1e-5, 0, 1, "added to the variances")),
    .characters = CHARACTERS({"norm", "layer"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
