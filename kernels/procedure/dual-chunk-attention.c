/* Dual chunk attention (dual-chunk-attention, section 3; HKUNLP/ChunkLlama chunkllama_attn_replace.py,
 * without YaRN's mscale).
 *
 * Chunks have c = chunk - local tokens; key j turns by j mod c. A query has three places, by the chunk that
 * the key is in:
 *
 *     its own:     t mod c
 *     the one before:  min((t mod c) + c, chunk)
 *         so that the latest `local` keys are at their true distances
 *     older ones:      min(2 c - 1, chunk)
 *
 * One softmax over all keys up to t: three attentions, joined by their log sums. */
#include "grouped-heads.h"

enum { RELATIONS = 3 };

/* Queries as they meet keys that are `relation` chunks back, 2 standing for more, too. */
static tensor *turn(struct scope *s, tensor *x, int relation)
{
    int64_t length = x->shape[1], chunk = option(s, "chunk"), c = chunk - option(s, "local");
    tensor *places = tensor_constant(s->graph, NULL, 1, SHAPE(length));
    for (int64_t t = 0; t < length; t++) {
        int64_t inside = (s->position + t) % c, place = relation == 2 ? 2 * c - 1 : inside + relation * c;
        places->data[t] = (real)(relation && place > chunk ? chunk : place);
    }
    return rotate_to_places(s, x, places->data);
}

static tensor *forward(struct scope *s, tensor *x)
{
    struct projected p = project_heads(s, x);
    int64_t length = x->shape[1], end = s->position + length, c = option(s, "chunk") - option(s, "local");
    tensor *k = cache_append(s, "key", turn(s, p.k, 0), 0), *v = cache_append(s, "value", p.v, 0), *y = NULL;
    /* The first chunk has no other before it, the second one, all later ones have older ones, too. */
    for (int64_t region = 0; region < RELATIONS; region++) {
        int64_t first = region * c, last = region == 2 ? end : (region + 1) * c;
        first = first < s->position ? s->position : first;
        last = last < end ? last : end;
        if (last <= first)
            continue;
        tensor *parts[RELATIONS], *sums[RELATIONS];
        for (int relation = 0; relation <= region; relation++) {
            /* A query that stands `relation` chunks further back, in the middle of keys that it all sees. */
            struct attention_options options = {.causal = relation == 0,
                                                .offset = first - relation * c,
                                                .block = c,
                                                .look_backward = relation == 2 ? end : 0,
                                                .log_sum = &sums[relation]};
            tensor *q = turn(s, p.q, relation);
            parts[relation] = tensor_attention(rows_of(q, first - s->position, last - first), k, v, &options);
        }
        y = append_rows(y, tensor_join_attention((int)region + 1, parts, sums));
    }
    return join_heads(s, y);
}

static const char *validate(const struct scope *s)
{
    return option(s, "local") >= option(s, "chunk") ? "local must be less than chunk" : validate_heads(s);
}

KERNEL(dual_chunk_attention) = {
    .name = "dual-chunk-attention",
    .slot = SLOT_PROCEDURE,
    .variant = "dual-chunk-attention",
    .summary = "rotary places counted within chunks, with three kinds of distances",
    .options = OPTIONS(GROUPED_HEADS_OPTIONS,
                       INTEGER_OPTION("chunk", 48, 2, 1 << 24,
                                      "largest place of a query; tokens of a chunk and `local`"),
                       INTEGER_OPTION("local", 4, 0, 1 << 24, "latest keys at true distances in any case")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
