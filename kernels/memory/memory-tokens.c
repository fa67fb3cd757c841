/* Memory tokens in front of the sequence (memory-transformer; MemTransformer; lucidrains/x-transformers
 * num_memory_tokens).
 *
 *     (m', y) = norm(layers([m ; x]))        m = memory_tokens [M, D], trained; m' is dropped
 *
 * Every layer reads and writes the rows of m as it does tokens. Under a causal mixer they stand before all
 * tokens, so they are the same for every sequence; the paper's mixer is not causal, and they gather what the
 * tokens hold. */
#include "block/kernel.h"

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t count = option(s, "tokens"), length = x->shape[1];
    bool first = s->position == 0;
    tensor *memory = parameter(s, "memory_tokens", init_normal(0.02), 2, SHAPE(count, s->width));
    struct scope inside = *s;
    if (first) /* in a step the layers' caches keep what became of them */
        x = tensor_concat(
            2, (tensor *[]){tensor_broadcast(memory, 3, SHAPE(x->shape[0], count, s->width)), x}, 1);
    else
        inside.position += count;
    for (int layer = 0; layer < s->layers; layer++)
        x = layer_forward(&inside, layer, x, NULL);
    if (option(s, "final_norm"))
        x = layer_norm(s, "norm", x, option_real(s, "epsilon"));
    return first ? tensor_slice(x, 1, count, length) : x;
}

KERNEL(memory_tokens) = {
    .name = "memory-tokens",
    .slot = SLOT_MEMORY,
    .variant = "memory-transformer",
    .summary = "trained rows stand before the sequence and go through the layers with it",
    .options = OPTIONS(INTEGER_OPTION("tokens", 16, 1, 1 << 20, "rows of memory"),
                       FLAG_OPTION("final_norm", 1, "a layer norm after the last layer"),
                       REAL_OPTION("epsilon", 1e-5, 0, 1, "of that norm")),
    .characters = CHARACTERS({"memory", "tokens"}), /* all else is as the layers have it */
    .forward = forward,
    .step = forward,
};
