/* Neurocache (neurocache, section 3; alisafaya/neurocache src/neurocache/neurocache.py and
 * cache/ondevice.py): self-attention and, added to it, attention to compressed states of earlier segments,
 * which one search a token finds.
 *
 *     p_t = LayerNorm(h_proj x_t) of D / compression channels (x_t itself where that is 1)
 *
 * A ring of `cache` slots holds the rows before the segment, row t in slot t mod `cache`, empty ones zeros. A
 * token takes the `top_k` slots of the largest 2 p_t . p - |p|^2, each widened to `neighbourhood` slots
 * around it, and attends to theirs and those of the `context` - 1 tokens before it in the segment. The search
 * and the stored x have no gradient, h_proj and h_norm have: what was found is encoded again. As published,
 * the N rows of keys [N, kv_heads d] are read as [kv_heads, N, d] in the order of memory. */
#include "block/kernel.h"
#include <math.h>

static tensor *encode(struct scope *s, tensor *x)
{
    int64_t compression = option(s, "compression");
    if (compression == 1)
        return x;
    return layer_norm(s, "h_norm", linear(s, "h_proj", x, s->width / compression, false), 1e-5);
}

/* The slots before a segment at `start`, [B, cache, d]; `rows` are those up to now, the first of them number
 * `base`. */
static tensor *ring(struct scope *s, tensor *rows, int64_t base, int64_t start)
{
    int64_t size = option(s, "cache"), count = start < size ? start : size, oldest = start - count;
    tensor *written = count ? tensor_slice(rows, 1, oldest - base, count) : NULL;
    if (count == size)
        return tensor_roll(written, 1, oldest % size);
    tensor *empty = encode(s, tensor_full(s->graph, 0, 3, SHAPE(rows->shape[0], size - count, s->width)));
    return written ? tensor_concat(2, (tensor *[]){written, empty}, 1) : empty;
}

/* What each of `rows` [B, n, d] finds: [B, n, N, d]. */
static tensor *retrieve(struct scope *s, tensor *rows, tensor *slots, int64_t written)
{
    int64_t B = rows->shape[0], n = rows->shape[1], d = rows->shape[2], size = slots->shape[1];
    int64_t around = option(s, "neighbourhood"), top_k = option(s, "top_k"), found = top_k * around;
    tensor *keys = tensor_stop_gradient(slots), *places;
    tensor *sizes = tensor_reshape(tensor_sum(tensor_square(keys), 2), 3, SHAPE(B, 1, size));
    tensor *scores = tensor_scale(tensor_matmul_nt(tensor_stop_gradient(rows), keys), 2);
    tensor *filled = tensor_constant(s->graph, NULL, 1, SHAPE(size)), *offsets;
    for (int64_t i = 0; i < written && i < size; i++)
        filled->data[i] = 1;
    scores = tensor_where(filled, tensor_subtract(scores, sizes), tensor_scalar(s->graph, -1e8));
    tensor_top_k(scores, top_k, &places);
    offsets = tensor_constant(s->graph, NULL, 1, SHAPE(around));
    for (int64_t i = 0; i < around; i++)
        offsets->data[i] = (real)(around > 1 ? i - around / 2 + 1 : 0);
    places = tensor_add(tensor_reshape(places, 4, SHAPE(B, n, top_k, 1)), offsets);
    places = tensor_reshape(tensor_clamp(places, 0, (double)(size - 1)), 3, SHAPE(B, n * found, 1));
    return tensor_reshape(tensor_gather(slots, 1, places), 4, SHAPE(B, n, found, d));
}

/* Keys or values of retrieved rows [B, n, N, d] for the last `queries` of the n tokens, with those of the
 * tokens before them. */
static tensor *project(struct scope *s, const char *name, tensor *found, int64_t queries)
{
    int64_t B = found->shape[0], n = found->shape[1], N = found->shape[2], groups = key_value_heads(s);
    int64_t context = option(s, "context"), d = s->width / option(s, "heads");
    tensor *all = tensor_reshape(linear(s, name, found, groups * d, false), 5, SHAPE(B, n, groups, N, d));
    struct pieces seen = {0};
    for (int64_t back = context - 1; back >= 0; back--) {
        tensor *rows = tensor_constant(s->graph, NULL, 5, SHAPE(1, queries, 1, 1, 1));
        for (int64_t t = 0; t < queries; t++)
            rows->data[t] = (real)(n - queries + t > back ? n - queries + t - back : 0);
        add_piece(&seen, tensor_gather(all, 1, rows));
    }
    return join_pieces(&seen, 3);
}

/* Tokens x [B, n, D] from `first` on, all in the segment that begins at `start`. */
static tensor *attend(struct scope *s, tensor *x, tensor *rows, int64_t base, int64_t start, int64_t first)
{
    int64_t B = x->shape[0], n = x->shape[1], heads = option(s, "heads"), groups = key_value_heads(s);
    int64_t d = s->width / heads, lead = first - option(s, "context") + 1;
    lead = lead < start ? start : lead;
    tensor *found =
        retrieve(s, tensor_slice(rows, 1, lead - base, first + n - lead), ring(s, rows, base, start), start);
    tensor *k = project(s, "attn.k_proj", found, n), *v = project(s, "attn.v_proj", found, n);
    tensor *q = tensor_scale(linear(s, "attn.q_proj", x, s->width, false), 1 / sqrt((double)d));
    q = tensor_reshape(q, 5, SHAPE(B, n, groups, heads / groups, d));
    tensor *y = tensor_matmul(tensor_softmax(tensor_matmul_nt(q, k), 4), v);
    return linear(s, "attn.o_proj", tensor_reshape(y, 3, SHAPE(B, n, s->width)), s->width, false);
}

static tensor *attend_to_self(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), groups = key_value_heads(s), inner = groups * (s->width / heads);
    tensor *q = split_heads(linear(s, "self_attn.q_proj", x, s->width, false), heads);
    tensor *k = split_heads(linear(s, "self_attn.k_proj", x, inner, false), groups);
    tensor *v = split_heads(linear(s, "self_attn.v_proj", x, inner, false), groups);
    tensor *y = positioned_attention(s, q, k, v, (struct attention_options){.causal = true});
    return linear(s, "self_attn.o_proj", merge_heads(y), s->width, false);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t segment = option(s, "segment"), end = s->position + x->shape[1];
    tensor *rows = encode(s, tensor_stop_gradient(x));
    struct pieces parts = {0};
    rows = cache_append(s, "row", rows, option(s, "cache") + segment);
    int64_t base = end - rows->shape[1];
    for (int64_t start = s->position / segment * segment; start < end; start += segment) {
        int64_t first = start < s->position ? s->position : start;
        int64_t last = start + segment < end ? start + segment : end;
        add_piece(&parts,
                  attend(s, tensor_slice(x, 1, first - s->position, last - first), rows, base, start, first));
    }
    tensor *y = join_pieces(&parts, 1);
    return option(s, "self_attention") ? tensor_add(attend_to_self(s, x), y) : y;
}

static const char *validate(const struct scope *s)
{
    int64_t around = option(s, "neighbourhood");
    if (validate_heads(s))
        return validate_heads(s);
    if (s->width % option(s, "compression"))
        return "the width is not divisible by compression";
    if (around > 1 && around % 2)
        return "neighbourhood is even, or 1 for the slot alone";
    return option(s, "top_k") > option(s, "cache") ? "top_k is more than the cache holds" : NULL;
}

static const char *character(const struct scope *s, const char *name)
{
    if (option(s, "self_attention"))
        return NULL;
    return name[0] == 't' ? "linear" : name[0] == 'd' ? "constant" : NULL;
}

KERNEL(compressed_cache_attention) = {
    .name = "compressed-cache-attention",
    .slot = SLOT_MIXER,
    .variant = "neurocache",
    .summary = "self-attention, and attention to compressed earlier states that one search per token finds",
    .options = OPTIONS(
        INTEGER_OPTION("heads", 8, 1, 1024, "query heads"),
        INTEGER_OPTION("kv_heads", 0, 0, 1024, "key-value heads; 0: as many as heads"),
        INTEGER_OPTION("compression", 4, 1, 1024, "width over that of a stored state"),
        INTEGER_OPTION("segment", 8, 1, 1 << 24, "tokens between two writings to the cache"),
        INTEGER_OPTION("cache", 16, 1, 1 << 24, "slots"),
        INTEGER_OPTION("top_k", 4, 1, 1 << 20, "slots that a token finds"),
        INTEGER_OPTION("neighbourhood", 1, 1, 1 << 20, "slots that each of them is widened to"),
        INTEGER_OPTION("context", 1, 1, 1 << 20, "tokens whose findings a token sees, its own included"),
        FLAG_OPTION("self_attention", 1, "is added")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "content"}, {"memory", "retrieval"},
                             {"state", "compressed-cache"}, {"time", "quadratic"}, {"decode-cost", "linear"},
                             {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
