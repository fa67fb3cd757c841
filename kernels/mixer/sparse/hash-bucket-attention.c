/* Attention within hash buckets (reformer, section 2; lucidrains/reformer-pytorch LSHSelfAttention). Queries
 * serve as keys, and R rounds each hash every token, sort by bucket and cut the order into chunks of b; a
 * chunk sees itself and the chunk before it.
 *
 *     bucket_r(t) = argmax (p, -p) with p = q_t W_r       L / b buckets; W_r [d, L / 2b] random
 *     score(t, s) = q_t . k_s / sqrt(d) with k_s = q_s / |q_s|, and -50000 for s = t
 *     y_t = sum_r softmax_r(z_r) o_r,   o_r the attention of round r, z_r its log sum of exponentials
 *
 * Chunks run on through the rounds and around the end. Where `across_buckets` is off the same bucket is
 * needed beside; where `count_duplicates` is off the pairs that several rounds see are divided among them.
 * Learned rows mem_kv stand behind the tokens and are seen by all. L is rounded up to whole pairs of buckets
 * by rows that nobody sees, as the published Autopadder does.
 *
 * Causal masks hide later tokens, but these still move the cuts between chunks, as published. */
#include "block/kernel.h"
#include <math.h>

/* The items of all rounds in the order of their buckets, for G = B H independent sequences. */
struct order {
    int64_t tokens, seen, chunks; /* T, T with memory, R L / b */
    tensor *item;                 /* positions in order, [G, R L] */
    tensor *place;                /* where in its round's order a position went, [G, R, L] */
    tensor *bucket;               /* its bucket, numbered on through the rounds, [G, R, L] */
};

static tensor *rotations(struct scope *s, int64_t d, int64_t pairs)
{
    int64_t rounds = option(s, "hashes"), all = option(s, "length") / (2 * option(s, "bucket"));
    tensor *given = further_input(s, "random_rotations");
    if (given)
        return given;
    if (pairs > all)
        kernel_fail(s, "buckets are drawn for %lld tokens: set length for more",
                    (long long)(all * 2 * option(s, "bucket")));
    return tensor_slice(buffer(s, "random_rotations", init_normal(1), 3, SHAPE(d, rounds, all)), 2, 0, pairs);
}

/* The order of q [G, L, d]. */
static struct order sorted(struct scope *s, tensor *q, int64_t tokens, int64_t seen)
{
    int64_t G = q->shape[0], L = q->shape[1], d = q->shape[2];
    int64_t rounds = option(s, "hashes"), buckets = L / option(s, "bucket");
    tensor *w = tensor_transpose(rotations(s, d, buckets / 2), 0, 1); /* [R, d, buckets / 2] */
    tensor *p = tensor_matmul(tensor_reshape(tensor_stop_gradient(q), 4, SHAPE(G, 1, L, d)), w);
    tensor *bucket = tensor_argmax(tensor_concat(2, (tensor *[]){p, tensor_negate(p)}, 3), 3), *item, *place;
    bucket = tensor_reshape(bucket, 3, SHAPE(G, rounds, L));
    tensor_sort(bucket, false, &item);
    tensor_sort(item, false, &place);
    tensor *first = tensor_reshape(tensor_range(s->graph, 0, rounds, (double)buckets), 2, SHAPE(rounds, 1));
    return (struct order){tokens,
                          seen,
                          rounds * buckets,
                          tensor_reshape(item, 2, SHAPE(G, rounds * L)),
                          place,
                          tensor_add(bucket, first)};
}

/* Rows of x [G, L, w] for the items in order, as chunks [G, C, b, w]. */
static tensor *chunks(const struct order *o, tensor *x)
{
    int64_t G = x->shape[0], items = o->item->shape[1];
    tensor *rows = tensor_gather(x, 1, tensor_reshape(o->item, 3, SHAPE(G, items, 1)));
    return tensor_reshape(rows, 4, SHAPE(G, o->chunks, items / o->chunks, x->shape[2]));
}

/* Each chunk's rows and those of the chunk before: [G, C, 2 b, w]. */
static tensor *with_previous(tensor *x)
{
    return tensor_concat(2, (tensor *[]){x, tensor_roll(x, 1, 1)}, 2);
}

/* Numbers of queries [G, C, b, 1], as they stand beside them, for the keys: [G, C, 1, 2 b]. */
static tensor *beside_keys(tensor *of_queries)
{
    return tensor_transpose(with_previous(of_queries), 2, 3);
}

/* In how many rounds a query's chunk or the one before it holds the key, [G, C, b, 2 b]. */
static tensor *count_rounds(struct scope *s, const struct order *o)
{
    int64_t G = o->place->shape[0], rounds = o->place->shape[1], L = o->place->shape[2];
    int64_t buckets = o->chunks / rounds;
    tensor *count = NULL;
    for (int64_t r = 0; r < rounds; r++) {
        tensor *place = tensor_reshape(tensor_slice(o->place, 1, r, 1), 3, SHAPE(G, L, 1));
        tensor *chunk =
            tensor_floor(tensor_scale(tensor_affine(place, 1, 0.5), 1 / (double)option(s, "bucket")));
        tensor *q = chunks(o, tensor_affine(chunk, 1, (double)(r * buckets))), *k = beside_keys(q);
        tensor *ahead = tensor_subtract(q, k);
        tensor *both = tensor_equal(ahead, tensor_scalar(s->graph, 0));
        both = tensor_maximum(both, tensor_equal(ahead, tensor_scalar(s->graph, 1)));
        both = tensor_maximum(both, tensor_equal(ahead, tensor_scalar(s->graph, (double)(1 - o->chunks))));
        if (!option(s, "across_buckets")) {
            tensor *own = chunks(o, tensor_reshape(tensor_slice(o->bucket, 1, r, 1), 3, SHAPE(G, L, 1)));
            both = tensor_multiply(both, tensor_equal(own, beside_keys(own)));
        }
        count = count ? tensor_add(count, both) : both;
    }
    return count;
}

/* Scores [G, C, b, 2 b] with what the masks make of them. */
static tensor *masked(struct scope *s, const struct order *o, tensor *scores)
{
    int64_t G = o->place->shape[0], L = o->place->shape[2];
    tensor *none = tensor_scalar(s->graph, -INFINITY);
    tensor *at = tensor_reshape(o->item, 4, SHAPE(G, o->chunks, -1, 1)), *key = beside_keys(at);
    tensor *hidden = tensor_greater(key, tensor_scalar(s->graph, (double)o->seen - 0.5));
    if (option(s, "causal")) {
        tensor *token = tensor_greater(tensor_scalar(s->graph, (double)o->tokens - 0.5), key);
        hidden = tensor_maximum(hidden, tensor_multiply(token, tensor_greater(key, at)));
    }
    scores = tensor_where(hidden, none, scores);
    scores = tensor_where(tensor_equal(key, at), tensor_scalar(s->graph, -5e4), scores);
    if (!option(s, "across_buckets")) {
        tensor *own = tensor_gather(o->bucket, 2, tensor_reshape(o->item, 3, SHAPE(G, -1, L)));
        own = tensor_reshape(own, 4, at->shape);
        scores = tensor_where(tensor_equal(own, beside_keys(own)), scores, none);
    }
    if (!option(s, "count_duplicates"))
        scores = tensor_subtract(scores, tensor_log(tensor_affine(count_rounds(s, o), 1, 1e-9)));
    return scores;
}

/* Back from chunks [G, C, b, w] to positions, round by round: [G, R, L, w]. */
static tensor *by_position(const struct order *o, tensor *x)
{
    int64_t G = o->place->shape[0], rounds = o->place->shape[1], L = o->place->shape[2];
    x = tensor_reshape(x, 4, SHAPE(G, rounds, L, x->shape[3]));
    return tensor_gather(x, 2, tensor_reshape(o->place, 4, SHAPE(G, rounds, L, 1)));
}

/* x [B, T, H d] with the memory behind and rows of zeros after it, by head: [B H, L, d]. */
static tensor *sequences(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), pair = 2 * option(s, "bucket");
    int64_t missing = (pair - x->shape[1] % pair) % pair;
    x = tensor_transpose(split_heads(tensor_pad(x, 1, 0, missing, 0), heads), 1, 2);
    return tensor_reshape(x, 3, SHAPE(x->shape[0] * heads, x->shape[2], x->shape[3]));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t B = x->shape[0], T = x->shape[1], D = s->width, heads = option(s, "heads"),
            memory = option(s, "memory_keys");
    if (memory) {
        tensor *rows = parameter(s, "mem_kv", init_normal(1), 3, SHAPE(1, memory, D));
        x = tensor_concat(2, (tensor *[]){x, tensor_broadcast(rows, 3, SHAPE(B, memory, D))}, 1);
    }
    tensor *q = sequences(s, linear(s, "toqk", x, D, false)),
           *v = sequences(s, linear(s, "tov", x, D, false));
    struct order o = sorted(s, q, T, T + memory);
    tensor *k = with_previous(chunks(&o, tensor_l2_norm_max(q, 1e-12)));
    tensor *scores = tensor_matmul_nt(chunks(&o, q), k);
    scores = masked(s, &o, tensor_scale(scores, 1 / sqrt((double)q->shape[2])));
    tensor *y = tensor_matmul(tensor_softmax(scores, 3), with_previous(chunks(&o, v)));
    tensor *share = tensor_softmax(by_position(&o, tensor_log_sum_exp(scores, 3)), 1);
    y = tensor_sum(tensor_multiply(share, by_position(&o, y)), 1);
    y = tensor_transpose(tensor_reshape(y, 4, SHAPE(B, heads, -1, D / heads)), 1, 2);
    return linear(s, "to_out", merge_heads(tensor_slice(y, 1, 0, T)), D, true);
}

static const char *character(const struct scope *s, const char *name)
{
    return option(s, "causal") ? NULL : causality_by_option(s, name);
}

KERNEL(hash_bucket_attention) = {
    .name = "hash-bucket-attention",
    .slot = SLOT_MIXER,
    .variant = "reformer",
    .summary = "shared queries and keys are sorted by hash, and chunks of that order attend to themselves "
               "and their neighbour",
    .options = OPTIONS(
        INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
        INTEGER_OPTION("bucket", 64, 1, 1 << 20, "tokens of a chunk, and of a bucket on average"),
        INTEGER_OPTION("hashes", 4, 1, 64, "rounds of hashing"),
        INTEGER_OPTION("length", 65536, 2, 1 << 26, "tokens for which buckets are drawn"),
        INTEGER_OPTION("memory_keys", 0, 0, 65536, "learned rows that every token sees"),
        FLAG_OPTION("across_buckets", 1, "a chunk sees all of its neighbour, not the same bucket alone"),
        FLAG_OPTION("count_duplicates", 1, "a pair that several rounds see counts as often"),
        FLAG_OPTION("causal", 1, "later tokens are not seen")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "content"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "replay"}, {"causality", "approximate"}),
    .character = character,
    .validate = validate_heads,
    .forward = forward,
};
