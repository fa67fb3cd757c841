/* N-Grammer (ngrammer, section 3; lucidrains/n-grammer-pytorch VQNgrammer): embeddings of the latent bigrams
 * at hand. Per head of d channels a token's cluster c_t is that of the nearest of K means; for head i = 1 ..
 * H, over a vocabulary of V bigrams,
 *
 *     b_t = c_t + K c_{t-1},   g_t = G[V (i - 1) + ((i b_t + i) mod p_i) mod V],
 *         p_i the i-th prime from V + 1 on
 *     y = (first d - e channels of n(x), n(g))   or   n(x) + n(g),
 *         n(z) = (z - mean) / (deviation + 1e-5) * g + b, per head
 *
 * Before the first token, and before those whose input "segment_pos" is 0, c is 0. Clusters have no gradient;
 * moving the means while training is not part of the function. Hashes are sums of tabled remainders: i b_t is
 * too large for single precision. */
#include "block/kernel.h"

static bool is_prime(int64_t n)
{
    for (int64_t i = 2; i * i <= n; i++)
        if (n % i == 0)
            return false;
    return n > 1;
}

static tensor *head_norm(struct scope *s, const char *name, tensor *z)
{
    const int64_t *shape = SHAPE(z->shape[2], z->shape[3]);
    tensor *gain = parameter(s, part_name(s, "%s.g", name), init_constant(1), 2, shape);
    tensor *shift = parameter(s, part_name(s, "%s.b", name), init_constant(0), 2, shape);
    tensor *deviation = tensor_sqrt(tensor_variance(z, 3));
    tensor *unit = tensor_divide(tensor_subtract(z, tensor_mean(z, 3)), tensor_affine(deviation, 1, 1e-5));
    return tensor_add(tensor_multiply(unit, gain), shift);
}

/* Of every head's nearest mean, [B, T, H]. */
static tensor *clusters(struct scope *s, tensor *heads)
{
    int64_t H = heads->shape[2], K = option(s, "clusters");
    tensor *means = buffer(s, "vq.means", init_normal(1), 3, SHAPE(H, K, heads->shape[3]));
    tensor *sizes = tensor_reshape(tensor_sum(tensor_square(means), 2), 2, SHAPE(H, K));
    tensor *products = per_head_product(tensor_stop_gradient(heads), means, true);
    tensor *nearness = tensor_subtract(tensor_scale(products, 2), sizes);
    return tensor_reshape(tensor_argmax(nearness, 3), 3, SHAPE(heads->shape[0], heads->shape[1], H));
}

/* For ids [B, T, H] of clusters the remainder of i (factor id + added) by p_i. */
static tensor *remainders(struct scope *s, tensor *ids, const int64_t *primes, int64_t factor, int64_t added)
{
    int64_t H = ids->shape[2], K = option(s, "clusters");
    tensor *table = tensor_constant(s->graph, NULL, 1, SHAPE(H * K));
    for (int64_t i = 0; i < H * K; i++)
        table->data[i] = (real)((i / K + 1) * (factor * (i % K) + added) % primes[i / K]);
    return tensor_rows(table, tensor_add(ids, tensor_range(s->graph, 0, H, (double)K)));
}

/* x modulo a limit, for whole numbers of which the quotient is small. */
static tensor *wrapped(tensor *x, tensor *limit)
{
    tensor *times = tensor_floor(tensor_divide(tensor_affine(x, 1, 0.5), limit));
    return tensor_subtract(x, tensor_multiply(times, limit));
}

static tensor *bigram_rows(struct scope *s, tensor *present, tensor *before)
{
    int64_t H = present->shape[2], V = option(s, "vocabulary"), primes[64], next = V + 1;
    tensor *prime = tensor_constant(s->graph, NULL, 1, SHAPE(H));
    for (int64_t i = 0; i < H; i++, next++) {
        while (!is_prime(next))
            next++;
        prime->data[i] = (real)(primes[i] = next);
    }
    tensor *hash = tensor_add(remainders(s, present, primes, 1, 1),
                              remainders(s, before, primes, option(s, "clusters"), 0));
    hash = wrapped(wrapped(hash, prime), tensor_scalar(s->graph, (double)V));
    return tensor_add(hash, tensor_range(s->graph, 0, H, (double)V));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t H = option(s, "heads"), e = option(s, "ngram_dim"), d = s->width / H;
    tensor *heads = split_heads(x, H), *present = clusters(s, heads);
    tensor *before = token_shift(s, "clusters", present), *places = further_input(s, "segment_pos");
    if (places) {
        places = tensor_reshape(places, 3, SHAPE(x->shape[0], x->shape[1], 1));
        before = tensor_multiply(before, tensor_greater(places, tensor_scalar(s->graph, 0)));
    }
    tensor *table =
        parameter(s, "ngram.ngram_embeds.weight", init_normal(1), 2, SHAPE(option(s, "vocabulary") * H, e));
    tensor *ngrams = tensor_rows(table, bigram_rows(s, present, before));
    ngrams = head_norm(s, "ngram.ngram_layernorm", ngrams);
    heads = head_norm(s, "ngram.embeds_layernorm", heads);
    if (option(s, "joined"))
        return merge_heads(tensor_concat(2, (tensor *[]){tensor_slice(heads, 3, 0, d - e), ngrams}, 3));
    return merge_heads(tensor_add(heads, ngrams));
}

static const char *validate(const struct scope *s)
{
    const char *wrong = validate_heads(s);
    if (wrong)
        return wrong;
    int64_t d = s->width / option(s, "heads"), e = option(s, "ngram_dim");
    if (option(s, "joined"))
        return e >= d ? "ngram_dim leaves no channels of a head for the token" : NULL;
    return e != d ? "embeddings that are added need ngram_dim = width / heads" : NULL;
}

KERNEL(latent_ngram_embedding) = {
    .name = "latent-ngram-embedding",
    .slot = SLOT_EMBEDDING,
    .variant = "ngrammer",
    .summary = "embeddings of hashed bigrams of each head's clusters stand beside the token's",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 64, "heads"),
                       INTEGER_OPTION("clusters", 256, 1, 1 << 16, "means of a head"),
                       INTEGER_OPTION("vocabulary", 2048, 1, 1 << 20, "bigrams of a head"),
                       INTEGER_OPTION("ngram_dim", 4, 1, 4096, "channels of a bigram's embedding"),
                       FLAG_OPTION("joined", 1,
                                   "bigrams take the place of a head's last channels; else added")),
    .characters = CHARACTERS({"state", "vector"}, {"time", "linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
