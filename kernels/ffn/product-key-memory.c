/* A memory of n^2 values that is searched by product keys (product-key-memory, section 3;
 * lucidrains/product-key-memory PKM):
 *
 *     y = sum over heads and their k best entries e of w_e V[e],   w = softmax of the head's k scores
 *
 * with a score for every pair of half keys and values shared by all heads. Half queries go through a layer
 * norm where the paper has a batch norm, which would not be causal. Without competition w is relu of the
 * score (Csordas et al. 2023). */
#include "product-keys.h"

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), n = option(s, "keys"), d = option(s, "key_dim"),
            chosen = option(s, "candidates"), batch = x->shape[0], length = x->shape[1];
    if (option(s, "input_norm"))
        x = layer_norm(s, "pre_layernorm", x, 1e-5);
    tensor *queries = linear(s, "to_queries", x, 2 * heads * d, false);
    tensor *keys = parameter(s, "keys", init_uniform(-0.05, 0.05), 4, SHAPE(heads, n, 2, d));
    struct found_keys found = find_product_keys(s, queries, keys, chosen, chosen, "norm");
    tensor *weights = option(s, "competitive") ? tensor_softmax(found.scores, 3) : tensor_relu(found.scores);
    tensor *values = parameter(s, "values.weight", init_normal(0.02), 2, SHAPE(n * n, s->width));
    const int64_t *all = SHAPE(batch, length, heads * chosen);
    tensor *y =
        tensor_chosen_sum(values, tensor_reshape(found.places, 3, all), tensor_reshape(weights, 3, all));
    return option(s, "output_norm") ? layer_norm(s, "output_norm", y, 1e-5) : y;
}

static const char *validate(const struct scope *s)
{
    return option(s, "candidates") > option(s, "keys") ? "candidates is more than keys" : NULL;
}

KERNEL(product_key_memory) = {
    .name = "product-key-memory",
    .slot = SLOT_FFN,
    .variant = "product-key-memory",
    .summary = "a sum of few of a large table's rows, found by pairs of half keys",
    .options = OPTIONS(INTEGER_OPTION("heads", 4, 1, 1024, "heads, each with keys of its own"),
                       INTEGER_OPTION("keys", 128, 1, 4096,
                                      "half keys: the memory has their square of values"),
                       INTEGER_OPTION("key_dim", 128, 1, 4096, "channels of a half key"),
                       INTEGER_OPTION("candidates", 32, 1, 4096, "values that a head chooses"),
                       FLAG_OPTION("competitive", 1, "weights are a softmax over those"),
                       FLAG_OPTION("input_norm", 0, "a layer norm in front"),
                       FLAG_OPTION("output_norm", 0, "a layer norm behind")),
    .characters = CHARACTERS({"ffn", "memory"}, {"ffn-gate", "none"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
