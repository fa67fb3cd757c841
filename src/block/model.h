/* model.h: a language model around a stack of blocks: token embedding, the stack, a final norm, a head.
 *
 *     h = stack(E[ids]),  logits = LayerNorm(h) W^T,  loss = mean cross-entropy of logits and targets
 *
 * Parameters beside the stack's: embedding.weight [V, D], final_norm.weight and .bias [D] (none where the
 * stack ends with a norm of its own), head.weight [V, D] (none when tied: then W is the embedding).
 *
 * With `summary` all that the head sees comes from the last token: h_t is replaced by decoder(h_T + sinusoids
 * of t), two layers gelu(W RMSNorm(h) + b), decoder.0 and decoder.1 (Poli et al. 2024, the auto-encoder of
 * their compression task). */
#ifndef CLADE_BLOCK_MODEL_H
#define CLADE_BLOCK_MODEL_H

#include "block/block.h"

struct model_options {
    struct block_options block; /* `alone` must be false */
    int64_t vocabulary;         /* at least 2 */
    bool tied;                  /* the head is the embedding */
    bool summary;               /* see above */
};

struct model {
    struct block *block; /* owns all parameters, the model's too */
    struct model_options options;
};

/* As block_create(). */
enum status model_create(const struct composition *composition, const struct model_options *options,
                         struct model **model, struct error *error);
void model_free(struct model *model); /* NULL is fine */

/* Records logits [B, T, V] for ids [B, T], whole numbers below V (a run fails on others). */
tensor *model_logits(struct model *model, tensor *ids);
/* The same at some places only: places [N], whole numbers below B T; logits [N, V]. */
tensor *model_logits_at(struct model *model, tensor *ids, tensor *places);
/* Records the loss [1]; targets [B, T], those below 0 do not count. */
tensor *model_loss(struct model *model, tensor *ids, tensor *targets);

#endif
