/* Gist tokens (gist-tokens; jayelm/gisting): k trained rows behind a prompt of P tokens
 * are all that later tokens see of it. Every layer runs over [prompt; gist] and over the rest; a token of
 * the rest sees the gist rows and the rest up to itself, a gist row the prompt and the gist rows up to
 * itself.
 *
 *     (p', g') = layer([p; g]),   r' = layer(r | g)        g = gist.weight [k, D] before the first layer
 *
 * That is the paper's mask without the work on what it hides. Decoding leaves the prompt's cache behind once
 * the gist is made. */
#include "block/kernel.h"

/* The prompt's tokens of this call, [B, n, D] or NULL, and the rest. */
struct parts {
    tensor *prompt, *rest;
};

static struct parts divide(struct scope *s, tensor *x)
{
    int64_t length = x->shape[1], left = option(s, "segment") - s->position;
    int64_t own = left < 0 ? 0 : left < length ? left : length;
    return (struct parts){own ? tensor_slice(x, 1, 0, own) : NULL,
                          own < length ? tensor_slice(x, 1, own, length - own) : NULL};
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t P = option(s, "segment"), count = option(s, "tokens");
    tensor *gist = parameter(s, "gist.weight", init_normal(0.02), 2, SHAPE(count, s->width));
    struct parts parts = divide(s, x);
    tensor *prompt = parts.prompt, *rest = parts.rest, *whole = prompt, *rows = NULL;
    if (s->state && prompt)
        whole = cache_append(s, "prompt", prompt, 0);
    if (!rest)
        return stack_forward(s, x);
    if (s->state && s->position == P)
        whole = cache_rows(s, "prompt");
    if (whole) {
        gist = tensor_broadcast(gist, 3, SHAPE(x->shape[0], count, s->width));
        rows = tensor_concat(2, (tensor *[]){whole, gist}, 1);
    }
    struct scope before = *s, after = *s;
    before.state = NULL; /* once, in the parallel form */
    before.position = 0;
    after.position = s->position > P ? s->position : P;
    after.pass = 1; /* caches of its own, which hold the gist from here on */
    for (int layer = 0; layer < s->layers; layer++) {
        tensor *memory = rows ? tensor_slice(rows, 1, P, count) : NULL;
        if (rows)
            rows = layer_forward(&before, layer, rows, NULL);
        rest = layer_forward(&after, layer, rest, memory);
    }
    return prompt
               ? tensor_concat(
                     2, (tensor *[]){tensor_slice(rows, 1, P - prompt->shape[1], prompt->shape[1]), rest}, 1)
               : rest;
}

KERNEL(gist_tokens) = {
    .name = "gist-tokens",
    .slot = SLOT_MEMORY,
    .variant = "gist-tokens",
    .summary = "trained rows behind a prompt are all that later tokens see of it",
    .options = OPTIONS(INTEGER_OPTION("segment", 64, 1, 1 << 24, "tokens of the prompt"),
                       INTEGER_OPTION("tokens", 4, 1, 1 << 16, "rows of the gist")),
    .characters = CHARACTERS({"memory", "tokens"}), /* all else is as the layers have it */
    .forward = forward,
    .step = forward,
};
