/* Poolingformer's two-level attention (poolingformer, section 2.2).
 *
 *     Y: y_i = softmax over {q_i . k_s / sqrt(d) : |s - i| <= w1, or s global} of v_s,
 *         over all s where i is global
 *     Q', K', V' = projections of Y;   K, V = Pooling(K'), Pooling(V')
 *     z_i = softmax(q'_i . K / sqrt(d)) V over the pooled rows whose tokens all lie within w2 of i
 *     output = (y + z) Wo
 *
 * Row j of a pooled matrix stands for the tokens j xi .. j xi + kappa - 1 (pool_stride, pool_size) and is
 * their mean, their maximum, or sum_n delta_n x_n with weights of their middle one (dynamic) or of their mean
 * (mean-dynamic), delta = softmax(W_p x), taken over all channels before heads are split. The paper writes
 * the pooling of each token's own window, with rows that begin at i - w2; here, so that there are T / xi of
 * them as it says, the sequence is pooled once. The first global_tokens tokens are global. */
#include "global-tokens.h"
#include "strides.h"

/* x [B, T, D] pooled, [B, J, D]; W_p is declared also where nothing is pooled. */
static tensor *pooled(struct scope *s, const char *name, tensor *x)
{
    int64_t size = option(s, "pool_size"), batch = x->shape[0], width = x->shape[2];
    bool middle = option_is(s, "pool", "dynamic"), mean = option_is(s, "pool", "mean-dynamic");
    tensor *weight = middle || mean ? parameter(s, name, init_linear(), 2, SHAPE(size, width)) : NULL;
    if (x->shape[1] < size)
        return NULL;
    tensor *rows = tensor_windows(x, 1, size, option(s, "pool_stride")); /* [B, J, kappa, D] */
    int64_t count = rows->shape[1];
    if (!weight) {
        x = option_is(s, "pool", "max") ? tensor_max(rows, 2) : tensor_mean(rows, 2);
    } else {
        x = middle ? tensor_slice(rows, 2, size / 2, 1) : tensor_mean(rows, 2);
        x = tensor_matmul(tensor_softmax(tensor_linear(x, weight, NULL), 3), rows);
    }
    return tensor_reshape(x, 3, SHAPE(batch, count, width));
}

/* What q [B, T, H, d] sees of pooled rows k and v. Tokens b xi + r of one remainder r see the rows from b -
 * before to b + after, so each remainder is an attention with a window of its own. */
static tensor *attend_to_pooled(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    int64_t size = option(s, "pool_size"), stride = option(s, "pool_stride"),
            reach = option(s, "pool_window");
    int64_t batch = q->shape[0], length = q->shape[1], heads = q->shape[2], d = q->shape[3];
    int64_t n = (length + stride - 1) / stride;
    q = tensor_reshape(strided_rows(q, stride), 5, SHAPE(batch, stride, n, heads, d));
    struct pieces remainders = {0};
    for (int64_t r = 0; r < stride; r++) {
        int64_t before = (reach - r) / stride, after = (r + reach - size + 1) / stride;
        struct attention_options rows = {.causal = true, .offset = after, .window = before + after + 1};
        tensor *own = tensor_reshape(tensor_slice(q, 1, r, 1), 4, SHAPE(batch, n, heads, d));
        own = tensor_attention(own, k, v, &rows);
        add_piece(&remainders, tensor_reshape(own, 5, SHAPE(batch, 1, n, heads, d)));
    }
    tensor *z = join_pieces(&remainders, 1);
    return joined_strides(tensor_reshape(z, 4, SHAPE(batch * stride, n, heads, d)), stride, length);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), width = s->width;
    tensor *q = split_heads(linear(s, "query", x, width, true), heads);
    tensor *k = split_heads(linear(s, "key", x, width, true), heads);
    tensor *v = split_heads(linear(s, "value", x, width, true), heads);
    struct attention_options near = {.window = option(s, "window") + 1};
    tensor *y = merge_heads(attend_beside_globals(q, k, v, option(s, "global_tokens"), near));
    q = split_heads(linear(s, "pool_query", y, width, true), heads);
    k = pooled(s, "key_pooling.weight", linear(s, "pool_key", y, width, true));
    v = pooled(s, "value_pooling.weight", linear(s, "pool_value", y, width, true));
    if (k)
        y = tensor_add(y, merge_heads(attend_to_pooled(s, q, split_heads(k, heads), split_heads(v, heads))));
    return linear(s, "dense", y, width, true);
}

static const char *validate(const struct scope *s)
{
    if (option(s, "pool_stride") > option(s, "pool_size"))
        return "pool_stride is more than pool_size, so tokens would be left out";
    if (option(s, "pool_size") > option(s, "pool_window"))
        return "pool_size is more than pool_window";
    return validate_heads(s);
}

KERNEL(two_level_pooling_attention) = {
    .name = "two-level-pooling-attention",
    .slot = SLOT_MIXER,
    .variant = "poolingformer",
    .summary = "attention to a window around each token, then to pooled rows of a wider one",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("window", 128, 0, 1 << 24, "tokens seen on either side, w1"),
                       INTEGER_OPTION("pool_window", 512, 1, 1 << 24, "tokens that pooled rows reach, w2"),
                       INTEGER_OPTION("pool_size", 5, 1, 1 << 16, "tokens of a pooled row, kappa"),
                       INTEGER_OPTION("pool_stride", 4, 1, 1024, "tokens between pooled rows, xi"),
                       CHOICE_OPTION("pool", "dynamic|mean-dynamic|mean|max", "what a pooled row is"),
                       INTEGER_OPTION("global_tokens", 0, 0, 1 << 16, "first tokens that are global")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "compressed"}, {"position", "none"}, {"time", "linear"},
                             {"causality", "bidirectional"}),
    .validate = validate,
    .forward = forward,
};
