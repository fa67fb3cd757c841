/* Sumformer (sumformer, definition 3.1): one sum over the tokens is all that they know of each other.
 *
 *     S = sum_k phi(x_k),   y_t = psi(x_t, S)
 *
 * phi and psi are MLPs with relu and `depth` hidden layers of `hidden` channels; S has `features` channels
 * and stands behind x_t in psi's input. With `causal` the sum is over k <= t. */
#include "block/kernel.h"
#include <math.h>

static tensor *network(struct scope *s, const char *name, tensor *x, int64_t outputs)
{
    int64_t depth = option(s, "depth");
    for (int64_t i = 0; i <= depth; i++) {
        int64_t inputs = x->shape[2], units = i < depth ? option(s, "hidden") : outputs;
        const char *layer = part_name(s, "%s.%lld", name, (long long)i);
        /* As large as relu needs, so that the sum's trace does not fade from layer to layer. */
        struct init init = init_normal(sqrt(2 / (double)inputs));
        tensor *weight = parameter(s, part_name(s, "%s.weight", layer), init, 2, SHAPE(units, inputs));
        tensor *bias = parameter(s, part_name(s, "%s.bias", layer), init_constant(0), 1, SHAPE(units));
        x = tensor_linear(x, weight, bias);
        x = i < depth ? tensor_relu(x) : x;
    }
    return x;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t features = option(s, "features");
    tensor *own = network(s, "phi", x, features), *sum;
    if (option(s, "causal"))
        sum = kept_scan(s, "sum", tensor_scalar(s->graph, 1), own);
    else
        sum = tensor_broadcast(tensor_sum(own, 1), 3, own->shape);
    return network(s, "psi", tensor_concat(2, (tensor *[]){x, sum}, 2), s->width);
}

KERNEL(sum_mixing) = {
    .name = "sum-mixing",
    .slot = SLOT_MIXER,
    .variant = "sumformer",
    .summary = "a network reads each token beside the sum of what another made of all",
    .options = OPTIONS(INTEGER_OPTION("features", 32, 1, 1 << 16, "channels of the sum"),
                       INTEGER_OPTION("hidden", 50, 1, 1 << 16, "channels of the networks' hidden layers"),
                       INTEGER_OPTION("depth", 5, 0, 64, "hidden layers of each network"),
                       FLAG_OPTION("causal", 0, "the sum is over tokens so far")),
    .characters = CHARACTERS({"mixing", "pooling"}, {"normalizer", "none"}, {"state", "vector"},
                             {"update", "additive"}, {"decay", "none"}, {"visibility", "global"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .character = causality_by_option,
    .forward = forward,
    .step = forward,
};
