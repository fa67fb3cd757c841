/* The LogSparse Transformer's attention (log-sparse; flow-forecast transformer_bottleneck Attention).
 *
 *     q, k: a causal convolution of x over `conv` tokens, [E -> 2 H E];  v = x Wv;
 *         every head is as wide as the model
 *     y = concat_h( softmax( q_h k_h^T / sqrt(E), over the s <= t that t sees ) v_h ) Wo
 *
 * Dense, a token sees all earlier ones. Sparse, with sub-sequences of l tokens and c = ceil(log2 l), tokens
 * before floor(length / l) 2 c do so too. A later one starts from index = t, then t - l, t - 2 l, ..: it sees
 * index - c + 1 .. index and the tokens 1, 2, 4, .. before those, no further than l from index, until index -
 * c + 1 falls before the first token: then it sees all tokens before index, and, as the published mask has
 * it, not index itself. Each of these has a list of single keys. */
#include "block/kernel.h"

static int64_t log_of(int64_t sub_length)
{
    int64_t count = 0;
    while (((int64_t)1 << count) < sub_length)
        count++;
    return count;
}

/* The first token that does not see all. */
static int64_t dense_tokens(const struct scope *s)
{
    int64_t l = option(s, "segment");
    return option(s, "sparse") ? option(s, "length") / l * 2 * log_of(l) : INT64_MAX;
}

/* Writes what token t sees, if list is not NULL; returns how many. */
static int64_t list_seen(int64_t t, int64_t l, int64_t c, real *list)
{
    int64_t count = 0;
    for (int64_t index = t; index >= 0; index -= l) {
        int64_t first = index - c + 1;
        if (first < 0) {
            for (int64_t j = 0; j < index; j++, count++)
                if (list)
                    list[count] = (real)j;
            break;
        }
        int64_t next =
            index - l; /* where the next round starts; it lists itself unless that is the last one */
        for (int64_t e = -c; e < c; e++) {
            int64_t j = e < 0 ? index + e + 1 : first - ((int64_t)1 << e);
            bool listed_next = j == next && next - c + 1 >= 0;
            if (j < 0 || index - j > l || listed_next)
                continue;
            if (list)
                list[count] = (real)j;
            count++;
        }
    }
    return count;
}

/* Lists [1, 1, rows, most] of the tokens from `start` on. */
static tensor *all_lists(struct scope *s, int64_t start, int64_t rows)
{
    int64_t l = option(s, "segment"), c = log_of(l), most = 1;
    for (int64_t i = 0; i < rows; i++) {
        int64_t count = list_seen(start + i, l, c, NULL);
        most = count > most ? count : most;
    }
    tensor *lists = tensor_full(s->graph, -1, 4, SHAPE(1, 1, rows, most));
    for (int64_t i = 0; i < rows; i++)
        list_seen(start + i, l, c, lists->data + i * most);
    return lists;
}

static tensor *attend(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t length = q->shape[1], dense = dense_tokens(s), before = dense - s->position, count = 0;
    double scale = option(s, "scaled") ? 0 : 1;
    tensor *parts[2];
    before = before < 0 ? 0 : before < length ? before : length;
    if (before) {
        struct attention_options options = {.scale = scale, .causal = true, .offset = s->position};
        parts[count++] = tensor_attention(tensor_slice(q, 1, 0, before), k, v, &options);
    }
    if (before < length) {
        struct sparse_attention_options options = {.scale = scale, .query_block = 1, .key_block = 1};
        parts[count++] =
            tensor_sparse_attention(tensor_slice(q, 1, before, length - before), k, v,
                                    all_lists(s, s->position + before, length - before), &options);
    }
    return count == 2 ? tensor_concat(2, parts, 1) : parts[0];
}

/* [B, T, outputs] from the present and the size - 1 tokens before. */
static tensor *convolved(struct scope *s, tensor *x, int64_t outputs)
{
    int64_t size = option(s, "conv"), B = x->shape[0], T = x->shape[1], E = s->width;
    tensor *weight = parameter(s, "query_key.weight", init_linear(), 3, SHAPE(outputs, E, size));
    tensor *bias = parameter(s, "query_key.bias", init_constant(0), 1, SHAPE(outputs));
    if (size > 1) {
        x = cache_append(s, "input", x, size - 1);
        x = tensor_pad(x, 1, T + size - 1 - x->shape[1], 0, 0);
    }
    x = tensor_reshape(tensor_windows(x, 1, size, 1), 3, SHAPE(B, T, size * E));
    weight = tensor_reshape(tensor_transpose(weight, 1, 2), 2, SHAPE(outputs, size * E));
    return tensor_linear(x, weight, bias);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), inner = heads * s->width;
    tensor *qk = convolved(s, x, 2 * inner);
    tensor *q = split_heads(tensor_slice(qk, 2, 0, inner), heads);
    tensor *k = cache_append(s, "key", split_heads(tensor_slice(qk, 2, inner, inner), heads), 0);
    tensor *v = cache_append(s, "value", split_heads(linear(s, "value", x, inner, true), heads), 0);
    return linear(s, "c_proj", merge_heads(attend(s, q, k, v)), s->width, true);
}

static const char *character(const struct scope *s, const char *name)
{
    return name[0] == 'v' && !option(s, "sparse") ? "all" : NULL;
}

static const char *validate(const struct scope *s)
{
    return option(s, "sparse") && option(s, "segment") > option(s, "length")
               ? "a sub-sequence is longer than length: the first token would see nothing"
               : NULL;
}

KERNEL(log_sparse_attention) = {
    .name = "log-sparse-attention",
    .slot = SLOT_MIXER,
    .variant = "log-sparse",
    .summary = "queries and keys of a causal convolution; tokens at exponentially growing distances are seen",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads, each as wide as the model"),
                       INTEGER_OPTION("conv", 3, 1, 1024, "tokens of the convolution"),
                       FLAG_OPTION("sparse", 1, "earlier tokens are seen at growing distances only"),
                       INTEGER_OPTION("length", 64, 1, 1 << 24, "tokens that the pattern is made for"),
                       INTEGER_OPTION("segment", 16, 2, 1 << 20, "tokens after which distances start anew"),
                       FLAG_OPTION("scaled", 1, "scores are divided by sqrt(width)")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "strided"}, {"state", "cache"}, {"short-convolution", "yes"},
                             {"time", "quadratic"}, {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
