/* The norm of vector neurons (vn-transformer, section 4.3, eq. 7; lucidrains/VN-transformer VNLayerNorm):
 * lengths of a token's vectors in space are layer-normalised, directions stay. x_i LayerNorm(|x|)_i /
 * max(|x_i|, epsilon) with a weight gamma and, as published, no bias. */
#include "../mixer/attention/vector-neurons.h"
#include <math.h>

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t features = s->width / COORDINATES;
    tensor *v = tensor_reshape(x, 4, SHAPE(x->shape[0], x->shape[1], features, COORDINATES));
    tensor *lengths =
        tensor_reshape(tensor_sum(tensor_square(v), 3), 3, SHAPE(x->shape[0], x->shape[1], features));
    lengths = tensor_sqrt(tensor_clamp(lengths, 1e-24, INFINITY));
    tensor *weight = parameter(s, "ln.gamma", init_constant(1), 1, SHAPE(features));
    tensor *scale = tensor_layer_norm(lengths, weight, NULL, 1e-5);
    tensor *unit = tensor_l2_norm_max(v, option_real(s, "epsilon"));
    scale = tensor_reshape(scale, 4, SHAPE(x->shape[0], x->shape[1], features, 1));
    return tensor_reshape(tensor_multiply(unit, scale), 3, x->shape);
}

KERNEL(vector_neuron_norm) = {
    .name = "vector-neuron-norm",
    .slot = SLOT_NORM,
    .variant = "vn-transformer",
    .summary = "normalises the lengths of a token's vectors in space and keeps their directions",
    .options = OPTIONS(REAL_OPTION("epsilon", 1e-6, 1e-12, 1, "least length")),
    .characters = CHARACTERS({"norm", "layer"}),
    .validate = validate_vectors,
    .forward = forward,
    .step = forward,
};
