/* PEER (peer, section 2, algorithm 1; lucidrains/PEER-pytorch PEER): experts of one hidden neuron each,
 * chosen by product keys.
 *
 *     y = sum over heads and their k best experts e of g_e gelu(x . down_e) up_e,
 *         g = softmax of the head's k scores
 *
 * The experts serve all heads, or each head has a set of its own. Without competition every head takes the
 * one best, and g is relu of its score. With a norm in front, u / |u| sqrt(D) (gamma + 1), queries and
 * experts both read its output. */
#include "product-keys.h"
#include <math.h>

/* Half keys, the square of which is the number of experts. */
static int64_t half_keys(const struct scope *s)
{
    return (int64_t)llround(sqrt((double)option(s, "experts")));
}

/* Every head's places moved to its own set of experts. */
static tensor *own_places(struct scope *s, tensor *places, int64_t experts)
{
    tensor *offset = tensor_range(s->graph, 0, places->shape[2], (double)experts);
    return tensor_add(places, tensor_reshape(offset, 2, SHAPE(places->shape[2], 1)));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), n = half_keys(s), d = option(s, "key_dim"),
            candidates = option(s, "candidates"), batch = x->shape[0], length = x->shape[1];
    bool competitive = option(s, "competitive"), own = option(s, "own_experts");
    int64_t chosen = competitive ? option(s, "chosen") : 1, total = n * n * (own ? heads : 1);
    if (option(s, "input_norm")) {
        tensor *gamma = parameter(s, "norm.gamma", init_constant(0), 1, SHAPE(s->width));
        x = tensor_scale(tensor_l2_norm_max(x, 1e-12), sqrt((double)s->width));
        x = tensor_multiply(x, tensor_affine(gamma, 1, 1));
    }
    tensor *queries = linear(s, "to_queries.0", x, 2 * heads * d, false);
    tensor *keys = parameter(s, "keys", init_normal(0.02), 4, SHAPE(heads, n, 2, d));
    struct found_keys found = find_product_keys(s, queries, keys, candidates, chosen, NULL);
    tensor *gates = competitive ? tensor_softmax(found.scores, 3) : tensor_relu(found.scores);
    const int64_t *all = SHAPE(batch, length, heads * chosen);
    tensor *places = tensor_reshape(own ? own_places(s, found.places, n * n) : found.places, 3, all);
    tensor *down = parameter(s, "weight_down_embed.weight", init_normal(0.02), 2, SHAPE(total, s->width));
    tensor *up = parameter(s, "weight_up_embed.weight", init_normal(0.02), 2, SHAPE(total, s->width));
    tensor *hidden = tensor_gelu(tensor_chosen_products(down, places, x));
    return tensor_chosen_sum(up, places, tensor_multiply(hidden, tensor_reshape(gates, 3, all)));
}

static const char *validate(const struct scope *s)
{
    int64_t n = half_keys(s), candidates = option(s, "candidates");
    if (n * n != option(s, "experts"))
        return "experts is not a square";
    if (candidates > n)
        return "candidates is more than the root of experts";
    if (option(s, "competitive") && option(s, "chosen") > candidates * candidates)
        return "chosen is more than the pairs of candidates";
    return NULL;
}

KERNEL(product_key_experts) = {
    .name = "product-key-experts",
    .slot = SLOT_FFN,
    .variant = "peer",
    .summary = "few of very many experts of one neuron each, found by pairs of half keys",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads, each with keys of its own"),
                       INTEGER_OPTION("experts", 16384, 1, 1 << 24, "a square number"),
                       INTEGER_OPTION("key_dim", 128, 1, 4096, "channels of a half key"),
                       INTEGER_OPTION("candidates", 16, 1, 4096, "half keys that are paired"),
                       INTEGER_OPTION("chosen", 16, 1, 4096, "experts of a head"),
                       FLAG_OPTION("competitive", 1, "gates are a softmax over those"),
                       FLAG_OPTION("own_experts", 0, "each head has experts of its own"),
                       FLAG_OPTION("input_norm", 0, "a root-mean-square norm in front")),
    .characters = CHARACTERS({"ffn", "experts"}, {"ffn-gate", "none"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
