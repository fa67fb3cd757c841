/* Immediate sharing of blocks (mobilellm, section 2.3; facebookresearch/MobileLLM LlamaModel with
 * layer_sharing): every layer is applied `repeats` times in a row with the same weights, x <- layer_l(x),
 * before the next one begins. It adds depth at no cost of memory or of its traffic, since a layer's weights
 * are still near when they are wanted again. Each application keeps a state of its own. */
#include "block/kernel.h"

static tensor *forward(struct scope *s, tensor *x)
{
    for (int layer = 0; layer < s->layers; layer++) {
        int64_t repeats = layer_option(s, layer, "repeats", 1);
        for (s->pass = 0; s->pass < repeats; s->pass++)
            x = layer_forward(s, layer, x, NULL);
    }
    s->pass = 0;
    return x;
}

KERNEL(layer_repetition) = {
    .name = "layer-repetition",
    .slot = SLOT_MEMORY,
    .variant = "mobilellm",
    .summary = "every layer is applied several times in a row with the same weights",
    .options = OPTIONS(INTEGER_OPTION("repeats", 2, 1, 64, "applications of each layer")),
    .characters = CHARACTERS({"memory", "none"}),
    .forward = forward,
    .step = forward,
};
