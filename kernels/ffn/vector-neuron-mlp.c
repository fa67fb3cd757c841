/* The feed-forward network of vector neurons (vn-transformer, section 4.4; lucidrains/VN-transformer
 * VNFeedForward and VNReLU): a map of features, a rectifier that bends vectors about directions which are
 * learned, and a map back.
 *
 *     q = h W, k = h U,    rectified: q where <q, k> >= 0, else q - <q, k / |k|> k
 *
 * As published, what is taken away where the product is negative has the length of k in it once. */
#include "../mixer/attention/vector-neurons.h"

/* h [B, T, 3, F]; products are over coordinates. */
static tensor *rectified(struct scope *s, tensor *h)
{
    int64_t features = h->shape[3];
    const int64_t *shape = SHAPE(features, features);
    tensor *q = tensor_linear(h, parameter(s, "relu.W", init_linear(), 2, shape), NULL);
    tensor *k = tensor_linear(h, parameter(s, "relu.U", init_linear(), 2, shape), NULL);
    tensor *product = tensor_sum(tensor_multiply(q, k), 2);
    tensor *unit = tensor_transpose(tensor_l2_norm_max(tensor_transpose(k, 2, 3), 1e-6), 2, 3);
    tensor *across = tensor_multiply(tensor_sum(tensor_multiply(q, unit), 2), k);
    tensor *negative = tensor_greater(tensor_scalar(s->graph, 0), product);
    return tensor_where(negative, tensor_subtract(q, across), q);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t features = s->width / COORDINATES;
    int64_t hidden = option_or(s, "hidden", (int64_t)(option_real(s, "expand") * (double)features));
    tensor *h = rectified(s, vector_linear(s, "up_proj", coordinates_first(x), hidden));
    return features_first(vector_linear(s, "down_proj", h, features));
}

KERNEL(vector_neuron_mlp) = {
    .name = "vector-neuron-mlp",
    .slot = SLOT_FFN,
    .variant = "vn-transformer",
    .summary = "maps of vectors in space with a rectifier about learned directions between",
    .options = OPTIONS(REAL_OPTION("expand", 4, 0.01, 64, "hidden features over a third of the width"),
                       INTEGER_OPTION("hidden", 0, 0, 1 << 24, "hidden features; 0: expand * width / 3"),
                       REAL_OPTION("bias_epsilon", 0, 0, 1e3, "length of biases; 0: none")),
    .characters = CHARACTERS({"ffn", "mlp"}, {"ffn-gate", "none"}),
    .validate = validate_vectors,
    .forward = forward,
    .step = forward,
};
