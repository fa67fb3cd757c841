/* Attention within chunks, beside a global memory (gmat; without a memory the stages of chunkformer).
 *
 *     t >= M:  y_t = softmax over {q_t . k_s / sqrt(d) : s in t's chunk of `segment` tokens, or s < M} of v_s
 *     t < M:   the same over all s
 *
 * The first M = global_tokens rows are memory: they see all and are seen by all, so distant chunks meet in
 * two layers at a cost of T (segment + M) + M T. GMAT's memory is trained rows in front of the sequence
 * (memory-tokens); chunks are counted from the first token after them. The last chunk may be shorter. GMAT's
 * text and code were not at hand: that its memory shares the tokens' projections and their softmax follows
 * descriptions of it. */
#include "global-tokens.h"

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads");
    bool bias = option(s, "bias");
    tensor *q = split_heads(linear(s, "query", x, s->width, bias), heads);
    tensor *k = split_heads(linear(s, "key", x, s->width, bias), heads);
    tensor *v = split_heads(linear(s, "value", x, s->width, bias), heads);
    struct attention_options chunks = {.block = option(s, "segment")};
    tensor *y = attend_beside_globals(q, k, v, option(s, "global_tokens"), chunks);
    return linear(s, "dense", merge_heads(y), s->width, bias);
}

static const char *character(const struct scope *s, const char *name)
{
    return name[0] == 'v' && option(s, "global_tokens") ? "global" : NULL;
}

KERNEL(chunk_attention) = {
    .name = "chunk-attention",
    .slot = SLOT_MIXER,
    .variant = "gmat",
    .summary = "attention within chunks of the sequence and to a memory in front of it, which attends to all",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("segment", 64, 1, 1 << 24, "tokens of a chunk"),
                       INTEGER_OPTION("global_tokens", 0, 0, 1 << 16, "first tokens that are memory"),
                       FLAG_OPTION("bias", 1, "projections have biases")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "block"}, {"position", "none"}, {"time", "linear"},
                             {"causality", "bidirectional"}),
    .character = character,
    .validate = validate_heads,
    .forward = forward,
};
