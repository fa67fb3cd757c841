/* The average attention network (average-attention; OpenNMT-py AverageAttention). g_t is the mean of x_1 ..
 * x_t, then
 *
 *     g := g + W2 relu(W1 LayerNorm(g))   (with `ffn`),   (i, f) = [x, g] Wg + b,
 *         y = sigmoid(i) x + sigmoid(f) g */
#include "block/kernel.h"

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t width = s->width, length = x->shape[1];
    tensor *sum = kept_scan(s, "sum", tensor_scalar(s->graph, 1), x);
    tensor *t = tensor_reshape(tensor_range(s->graph, s->position + 1, length, 1), 3, SHAPE(1, length, 1));
    tensor *g = tensor_divide(sum, t);
    if (option(s, "ffn")) {
        tensor *h = layer_norm(s, "average_layer.layer_norm", g, 1e-6);
        h = tensor_relu(linear(s, "average_layer.w_1", h, width, true));
        g = tensor_add(g, linear(s, "average_layer.w_2", h, width, true));
    }
    tensor *gates =
        tensor_sigmoid(linear(s, "gating_layer", tensor_concat(2, (tensor *[]){x, g}, 2), 2 * width, true));
    return tensor_add(tensor_multiply(tensor_slice(gates, 2, 0, width), x),
                      tensor_multiply(tensor_slice(gates, 2, width, width), g));
}

KERNEL(cumulative_average) = {
    .name = "cumulative-average",
    .slot = SLOT_MIXER,
    .variant = "average-attention",
    .summary = "the plain average of all tokens so far, mixed with the present one by gates",
    .options = OPTIONS(FLAG_OPTION("ffn", 0, "the average passes a small network first")),
    .characters = CHARACTERS({"mixing", "pooling"}, {"normalizer", "sum"}, {"heads", "per-channel"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "additive"},
                             {"decay", "none"}, {"output-gate", "yes"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .forward = forward,
    .step = forward,
};
