/* block.h: a composition made into something that runs: one block, a stack of them, or a kernel alone.
 *
 * Layers: y = combine(x, mixer(norm(x))), then the same with the ffn, with the norm where its placement says.
 * Parameters are named by slot: "mixer.q_proj.weight", "norm_1.weight" (the mixer's), "norm_2.weight" (the
 * ffn's), "ffn.up.weight", "position.…", with "layers.N." before them in a stack of several; a norm after the
 * last of N layers is "layers.N.norm_1". A kernel alone has its own names. */
#ifndef CLADE_BLOCK_BLOCK_H
#define CLADE_BLOCK_BLOCK_H

#include "block/composition.h"
#include "block/parameters.h"
#include "block/scope.h"
#include "block/state.h"

struct block_options {
    int64_t width;
    int repeats;           /* how often the composition's pattern is repeated; 0 means once */
    bool alone;            /* a kernel alone: no norm, no residual, no prefix (see composition_only) */
    uint64_t seed;         /* of the parameters' initial values */
    struct inputs *inputs; /* names and shapes of further inputs of the first building, which notes what it
                              missed; NULL if none */
    int64_t length;        /* tokens of the first building; 0: a few */
    /* Its batch, for which the further inputs are made as they are; 0: one, of an entry's share. */
    int64_t batch;
};

struct block {
    struct composition composition;
    struct parameters parameters;
    struct block_options options;
    int layers;
};

/* Checks the options against the width and declares the parameters by building once over a few tokens.
 * `composition` is copied. STATUS_USAGE with a message that names the kernel, if they do not fit. */
enum status block_create(const struct composition *composition, const struct block_options *options,
                         struct block **block, struct error *error);
void block_free(struct block *block); /* NULL is fine */

/* Records the block over x [B, T, D] in x's graph; raises if shapes do not fit. `inputs` may be NULL. The
 * first needs a fresh graph (parameters are bound to it). */
tensor *block_forward(struct block *block, tensor *x, struct inputs *inputs);
/* block_forward() in a graph that the parameters are bound to already, as part of a model. */
tensor *block_continue(struct block *block, tensor *x);
/* The recurrent form: the next tokens x [B, T, D] (usually T = 1) after `position` ones; after graph_run()
 * call state_commit(). */
tensor *block_step(struct block *block, tensor *x, struct state *state, int64_t position,
                   struct inputs *inputs);
/* Whether the whole block steps without replaying, so that its state is what its kernels declare. */
bool block_has_step(const struct block *block);

/* The slot whose kernel runs the whole stack, or SLOT_COUNT: an objective, a memory, or a procedure beside a
 * mixer; and the first layer that has it. An objective runs what the other two wrap. */
enum slot block_wrapping_slot(const struct block *block, int *layer);

/* Whether a norm follows the last layer. */
bool block_ends_normed(const struct block *block);

/* A scope over one slot's settings without a graph: for characters and the like. */
struct scope block_scope(const struct block *block, int layer, enum slot slot);

#endif
