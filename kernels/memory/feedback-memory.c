/* Feedback memory (feedback-transformer, section 3.3; lucidrains/feedback-transformer-pytorch): all layers
 * attend to one memory of what earlier tokens were in all layers.
 *
 *     m = sum_l softmax(layer_weight)_l h_l        h_0 the input, h_l the output of layer l
 *     keys, values = m Wkv                         the same for all layers; the newest `memory` are kept
 *
 * Tokens come in pieces of `segment`: one at a time in the paper, so that even the first layer sees the last
 * layer's past. With `last_only` m is the last layer's output. The mixer is feedback-attention. */
#include "block/kernel.h"
#include <string.h>

static tensor *summary(struct scope *s, tensor **hidden)
{
    tensor *weights = parameter(s, "layer_weight", init_normal(1), 1, SHAPE(s->layers + 1));
    if (option(s, "last_only"))
        return hidden[s->layers];
    weights = tensor_softmax(weights, 0);
    tensor *sum = NULL;
    for (int i = 0; i <= s->layers; i++) {
        tensor *term = tensor_multiply(hidden[i], tensor_slice(weights, 0, i, 1));
        sum = sum ? tensor_add(sum, term) : term;
    }
    return sum;
}

enum { LAYERS_MAXIMUM = 256 };

static tensor *segment(struct scope *s, tensor *x)
{
    int64_t inner = option(s, "heads") * head_dim(s);
    tensor *memory = carried(s, "memory"), *hidden[LAYERS_MAXIMUM + 1] = {x};
    layer_leave(s, "to_kv", parameter(s, "to_kv.weight", init_linear(), 2, SHAPE(2 * inner, s->width)));
    if (memory)
        layer_leave(s, "memory", memory);
    for (int layer = 0; layer < s->layers; layer++)
        hidden[layer + 1] = layer_forward(s, layer, hidden[layer], NULL);
    tensor *rows = linear(s, "to_kv", summary(s, hidden), 2 * inner, false);
    carry(s, "memory", newest_rows(memory, rows, option(s, "memory")));
    return hidden[s->layers];
}

static tensor *forward(struct scope *s, tensor *x)
{
    if (s->layers > LAYERS_MAXIMUM)
        kernel_fail(s, "more than %d layers", LAYERS_MAXIMUM);
    return by_segments(s, x, option(s, "segment"), segment);
}

/* A token that is alone in the last piece does not see itself, as it does once others follow. */
static const char *character(const struct scope *s, const char *name)
{
    return strcmp(name, "causality") == 0 && option(s, "segment") > 1 ? "approximate" : NULL;
}

KERNEL(feedback_memory) = {
    .name = "feedback-memory",
    .slot = SLOT_MEMORY,
    .variant = "feedback-transformer",
    .summary = "one memory for all layers, of what earlier tokens were in all of them",
    .options = OPTIONS(INTEGER_OPTION("segment", 1, 1, 1 << 24, "tokens that go through the layers at once"),
                       INTEGER_OPTION("memory", 64, 1, 1 << 24, "earlier tokens kept"),
                       INTEGER_OPTION("heads", 8, 1, 1024, "heads of the mixers"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       FLAG_OPTION("last_only", 0, "the memory holds the last layer's output")),
    .characters = CHARACTERS({"memory", "cache"}, {"state", "segments"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .character = character,
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
