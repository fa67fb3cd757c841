/* Sliding language modelling (transcormer): every token is predicted from all others in one
 * pass. Three streams go through the same layers; words w_i and starts q_i have position i, and q_i no word
 * (mask_embedding):
 *
 *     f_i sees f_j for j <= i,    b_i sees b_j for j >= i,
 *         q_i sees f_j for j < i and b_j for j > i, in one softmax
 *
 * with f = b = w before the first layer and all of a layer's keys made of its input. y is the query stream;
 * the others are the further outputs "forward" and "backward". No row of q is a key, so a token never reaches
 * its own prediction, at any depth. The backward stream is stored from its last token on, which makes it a
 * forward stream of a doubled batch: for mixers that see order in their input only. */
#include "block/kernel.h"
#include <math.h>

/* 0 where a query sees a row of [f ; b], else -infinity: [1, 1, T, 2 T]. */
static tensor *others(struct graph *graph, int64_t length)
{
    tensor *mask = tensor_constant(graph, NULL, 4, SHAPE(1, 1, length, 2 * length));
    for (int64_t i = 0; i < length; i++)
        for (int64_t j = 0; j < length; j++) {
            real *row = mask->data + i * 2 * length;
            row[j] = j < i ? 0 : -(real)INFINITY;
            row[length + j] = j > i ? 0 : -(real)INFINITY;
        }
    return mask;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t batch = x->shape[0], length = x->shape[1];
    tensor *start = parameter(s, "mask_embedding", init_normal(0.02), 2, SHAPE(1, s->width));
    tensor *words = stack_embed(s, x), *f = words, *b = words;
    tensor *q = stack_embed(s, tensor_broadcast(start, 3, SHAPE(batch, length, s->width)));
    tensor *both = tensor_concat(2, (tensor *[]){words, tensor_flip(words, 1)}, 0),
           *mask = others(s->graph, length);
    struct scope asking = *s;
    asking.memory_only = true;
    asking.memory_mask = mask;
    for (int layer = 0; layer < s->layers; layer++) {
        q = layer_forward(&asking, layer, q, tensor_concat(2, (tensor *[]){f, b}, 1));
        both = layer_forward(s, layer, both, NULL);
        f = tensor_slice(both, 0, 0, batch);
        b = tensor_flip(tensor_slice(both, 0, batch, batch), 1);
    }
    further_output(s, "forward", f);
    further_output(s, "backward", b);
    return q;
}

KERNEL(sliding_language_modelling) = {
    .name = "sliding-language-modelling",
    .slot = SLOT_OBJECTIVE,
    .variant = "transcormer",
    .summary = "every token is predicted from a forward stream before it and a backward stream behind it",
    .characters = CHARACTERS({"causality", "bidirectional"}, {"time", "quadratic"}),
    .forward = forward,
};
