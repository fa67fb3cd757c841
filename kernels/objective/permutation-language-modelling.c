/* Permutation language modelling (xlnet; zihangdai/xlnet modeling.py): tokens are
 * predicted in another order than they stand in, each from those before it in that order, with their places.
 * Two streams go through the same layers:
 *
 *     g: layer(g; keys [m ; h]), row i sees row j unless perm_mask[i, j]
 *         query, g = mask_emb at first
 *     h: layer(h; keys [m ; h]), the same, and itself
 *         content, h = x at first
 *
 * y is g, which knows the place but not the content of what it predicts; h is the further output "content".
 * All see the memory m of each layer: rows of h of earlier segments without gradient, or its part of the
 * input "mems" [B, layers, M, D]. g may be an input too.
 *
 * What a training step draws is the input "perm_mask" [B, T, T]. Without it token i comes where the
 * fractional part of i times the golden ratio stands among those of all. What a given mask hides gets -1e30,
 * as published: a query that sees nothing averages all. */
#include "block/kernel.h"
#include <math.h>
#include <string.h>

static double turn(int64_t i)
{
    return fmod((double)i * (sqrt(5) - 1) / 2, 1);
}

/* 1 where token j is not before token i in the order: [1, T, T]. */
static tensor *fixed_order(struct graph *graph, int64_t length)
{
    tensor *mask = tensor_constant(graph, NULL, 3, SHAPE(1, length, length));
    for (int64_t i = 0; i < length; i++)
        for (int64_t j = 0; j < length; j++)
            mask->data[i * length + j] = turn(j) >= turn(i);
    return mask;
}

/* What is added to the scores of h, [B, 1, T, T]: `amount` where hidden [B, T, T] is not 0. */
static tensor *mask_of(tensor *hidden, double amount)
{
    struct graph *graph = hidden->graph;
    hidden = tensor_reshape(hidden, 4, SHAPE(hidden->shape[0], 1, hidden->shape[1], hidden->shape[2]));
    return tensor_where(hidden, tensor_scalar(graph, amount), tensor_scalar(graph, 0));
}

/* The same for the scores of [memory ; h]. */
static tensor *beside(tensor *memory, tensor *mask)
{
    return memory ? tensor_pad(mask, 3, memory->shape[1], 0, 0) : mask;
}

static tensor *layer_memory(struct scope *s, int layer, const char *name)
{
    tensor *given = option(s, "segment") ? NULL : further_input(s, "mems");
    if (!given)
        return carried(s, name);
    if (given->rank != 4 || given->shape[1] != s->layers)
        kernel_fail(s, "mems are [B, %d, M, D], a memory for each layer", s->layers);
    return tensor_reshape(tensor_slice(given, 1, layer, 1), 3,
                          SHAPE(given->shape[0], given->shape[2], given->shape[3]));
}

static tensor *segment(struct scope *s, tensor *h)
{
    bool whole = option(s, "segment") == 0;
    tensor *hidden = whole ? further_input(s, "perm_mask") : NULL, *g = whole ? further_input(s, "g") : NULL;
    double amount = hidden ? -1e30 : -INFINITY;
    if (!g)
        g = tensor_broadcast(parameter(s, "mask_emb", init_normal(0.02), 1, SHAPE(s->width)), 3, h->shape);
    if (!hidden)
        hidden = fixed_order(s->graph, h->shape[1]);
    tensor *others = tensor_affine(scaled_identity(s->graph, h->shape[1], 1), -1, 1);
    tensor *query_mask = mask_of(hidden, amount);
    tensor *content_mask = mask_of(tensor_multiply(hidden, others), amount);
    struct scope asking = *s;
    asking.memory_only = true;
    for (int layer = 0; layer < s->layers; layer++) {
        const char *name = part_name(s, "memory.%d", layer);
        tensor *memory = layer_memory(s, layer, name);
        tensor *newest = newest_rows(memory, tensor_stop_gradient(h), option(s, "memory"));
        if (newest)
            carry(s, name, newest);
        asking.memory_mask = beside(memory, query_mask);
        s->memory_mask = beside(memory, content_mask);
        g = layer_forward(&asking, layer, g, memory ? tensor_concat(2, (tensor *[]){memory, h}, 1) : h);
        h = layer_forward(s, layer, h, memory);
    }
    if (whole)
        further_output(s, "content", h);
    return g;
}

static tensor *forward(struct scope *s, tensor *x)
{
    return by_segments(s, stack_embed(s, x), option_or(s, "segment", x->shape[1]), segment);
}

static const char *character(const struct scope *s, const char *name)
{
    return strcmp(name, "time") == 0 && option(s, "segment") ? "linear" : NULL;
}

KERNEL(permutation_language_modelling) = {
    .name = "permutation-language-modelling",
    .slot = SLOT_OBJECTIVE,
    .variant = "xlnet",
    .summary = "tokens are predicted in a random order by a second stream that knows their places only",
    .options = OPTIONS(INTEGER_OPTION("segment", 0, 0, 1 << 24, "tokens of a segment; 0: all in one"),
                       INTEGER_OPTION("memory", 0, 0, 1 << 24,
                                      "rows that each layer keeps of earlier segments")),
    .characters = CHARACTERS({"causality", "bidirectional"}, {"memory", "cache"}, {"time", "quadratic"}),
    .character = character,
    .forward = forward,
};
