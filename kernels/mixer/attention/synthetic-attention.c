/* Synthesizer (synthesizer, section 3.1; tensorflow/mesh synthetic_attention and Synthesizer): weights that
 * are not made by comparing tokens.
 *
 *     y = concat_h( softmax(L_h, over s <= t) v_h ) Wo,   v = x Wv
 *     random       L[h, t, s] = R[t, h, s], a trained table
 *     factorized   R[t, h, s] = sum_k R1[k, h, t] R2[k, h, s]
 *     dense        L[h, t, s] = (relu(q_t,h) pi)_s, q = x Wq: pi [d, length] predicts a score for every place
 *     plus         L' = q k^T + L, with the scores of a Transformer
 *     plus_alpha   L' = (1 - a) q k^T + a L,  a = sigmoid(alpha)
 *
 * Scores are of absolute places, at most `length` of them, and are not scaled. The released factorised form
 * leaves out the query's place; here it is the paper's product of two tables. */
#include "pair-scores.h"
#include <string.h>

/* L for queries that are the last `rows` of `columns` tokens: [H, rows, columns], or [B, H, ..] if dense. */
static tensor *synthesized(struct scope *s, tensor *q, int64_t rows, int64_t columns)
{
    int64_t heads = option(s, "heads"), length = option(s, "length"), factors = option(s, "factors");
    if (columns > length)
        kernel_fail(s, "it has scores for %lld places only (option length)", (long long)length);
    if (option_is(s, "form", "dense")) {
        tensor *pi = parameter(s, "pi", init_linear(), 2, SHAPE(head_dim(s), length));
        return tensor_matmul(tensor_transpose(tensor_relu(q), 1, 2), tensor_slice(pi, 1, 0, columns));
    }
    if (option_is(s, "form", "random")) {
        tensor *table = parameter(s, "R", init_normal(0.05), 3, SHAPE(length, heads, length));
        table = tensor_slice(tensor_slice(table, 0, columns - rows, rows), 2, 0, columns);
        return tensor_transpose(table, 0, 1);
    }
    tensor *of_query = parameter(s, "R1", init_normal(0.05), 3, SHAPE(factors, heads, length));
    tensor *of_key = parameter(s, "R2", init_normal(0.05), 3, SHAPE(factors, heads, length));
    of_query = tensor_permute(tensor_slice(of_query, 2, columns - rows, rows), (const int[]){1, 2, 0});
    return tensor_matmul(of_query, tensor_transpose(tensor_slice(of_key, 2, 0, columns), 0, 1));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), inner = heads * head_dim(s), rows = x->shape[1];
    bool causal = option(s, "causal"), alone = option_is(s, "with", "nothing");
    tensor *q = NULL, *scores, *y;
    if (!alone || option_is(s, "form", "dense"))
        q = split_heads(linear(s, "q", x, inner, false), heads);
    tensor *v = cache_append(s, "value", split_heads(linear(s, "v", x, inner, false), heads), 0);
    int64_t columns = v->shape[1];
    scores = synthesized(s, q, rows, columns);
    if (alone) {
        tensor *weights = score_softmax(scores, causal);
        y = tensor_transpose(tensor_matmul(weights, tensor_transpose(v, 1, 2)), 1, 2);
    } else {
        tensor *k = cache_append(s, "key", split_heads(linear(s, "k", x, inner, false), heads), 0);
        if (option_is(s, "with", "plus_alpha")) {
            tensor *share = tensor_sigmoid(parameter(s, "alpha", init_constant(0), 1, SHAPE(1)));
            q = tensor_multiply(q, tensor_affine(share, -1, 1));
            scores = tensor_multiply(scores, share);
        }
        struct attention_options options = {
            .scale = 1, .causal = causal, .offset = columns - rows, .bias = scores};
        y = tensor_attention(q, k, v, &options);
    }
    return linear(s, "o", merge_heads(y), s->width, false);
}

static tensor *step(struct scope *s, tensor *x)
{
    return option(s, "causal") ? forward(s, x) : replay_step(s, x);
}

static const char *character(const struct scope *s, const char *name)
{
    if (strcmp(name, "mixing") == 0 && option_is(s, "with", "nothing") && !option_is(s, "form", "dense"))
        return "learned-matrix";
    return causality_by_option(s, name);
}

KERNEL(synthetic_attention) = {
    .name = "synthetic-attention",
    .slot = SLOT_MIXER,
    .variant = "synthesizer",
    .summary = "softmax weights predicted from the query's token alone, or trained as a table",
    .options = OPTIONS(CHOICE_OPTION("form", "dense|random|factorized", "of the synthesized scores"),
                       CHOICE_OPTION("with", "nothing|plus|plus_alpha",
                                     "products of queries and keys: not used, added, or mixed"),
                       INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       INTEGER_OPTION("length", 512, 1, 1 << 16, "places that have scores"),
                       INTEGER_OPTION("factors", 8, 1, 4096, "of a factorized table"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"position", "absolute"},
                             {"output-gate", "no"}, {"time", "quadratic"}, {"decode-cost", "linear"},
                             {"causality", "causal"}),
    .character = character,
    .validate = validate_heads,
    .forward = forward,
    .step = step,
};
