/* The blockwise parallel transformer (bpt, section 3; haoliuhl/ringattention blockwise.py). The whole block
 * in one loop over blocks of `chunk` queries: a block's attention over all keys it sees, its residual and its
 * feed-forward network are done before the next begins,
 *
 *     n = LN1(x),  q, k, v = n Wq, n Wk, n Wv,   for each block c:  h_c = x_c + attention(q_c, k, v) Wo
 *                                                                  y_c = h_c + gelu(LN2(h_c) W1 + b1) W2 + b2
 *
 * so neither scores nor the network's wide activations exist for the whole sequence. The function is that of
 * the block with an attention and an mlp one after the other. Keys go in the tiles of tensor_attention in
 * place of the published k_chunk_size. The last block may be shorter. Norms and residuals being its own, it
 * stands with no others (residual kernel no-residual). */
#include "query-blocks.h"

static tensor *feed_forward(struct scope *s, tensor *h)
{
    tensor *hidden = layer_norm(s, "ln_2", h, option_real(s, "epsilon"));
    hidden = tensor_gelu(linear(s, "fc_in", hidden, option_or(s, "hidden", 4 * s->width), true));
    return linear(s, "fc_out", hidden, s->width, true);
}

struct sequence {
    struct scope *s;
    tensor *x, *q, *k, *v;
};

static tensor *one_block(void *argument, int64_t start, int64_t rows)
{
    struct sequence *all = argument;
    struct scope *s = all->s;
    int64_t before = all->k->shape[1] - all->q->shape[1], seen = before + start + rows;
    struct attention_options options = {.causal = true, .offset = before + start};
    tensor *o = tensor_attention(tensor_slice(all->q, 1, start, rows), tensor_slice(all->k, 1, 0, seen),
                                 tensor_slice(all->v, 1, 0, seen), &options);
    tensor *h = linear(s, "out_proj", merge_heads(o), s->width, false);
    h = tensor_add(tensor_slice(all->x, 1, start, rows), h);
    return tensor_add(h, feed_forward(s, h));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), inner = heads * head_dim(s);
    tensor *n = layer_norm(s, "ln_1", x, option_real(s, "epsilon"));
    struct sequence all = {s, x};
    all.q = split_heads(linear(s, "q_proj", n, inner, false), heads);
    all.k = split_heads(linear(s, "k_proj", n, inner, false), heads);
    rotate_query_and_key(s, &all.q, &all.k);
    all.k = cache_append(s, "key", all.k, 0);
    all.v = cache_append(s, "value", split_heads(linear(s, "v_proj", n, inner, false), heads), 0);
    return join_query_blocks(one_block, &all, 0, x->shape[1], option(s, "chunk"));
}

KERNEL(blockwise_transformer) = {
    .name = "blockwise-transformer",
    .slot = SLOT_MIXER,
    .variant = "bpt",
    .summary = "attention and feed-forward network of one block of queries before the next begins",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       INTEGER_OPTION("chunk", 256, 1, 1 << 24, "queries of a block"),
                       INTEGER_OPTION("hidden", 0, 0, 1 << 24, "of the network; 0: 4 * width"),
                       REAL_OPTION("epsilon", 1e-5, 0, 1, "of the norms")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"ffn", "mlp"}, {"ffn-gate", "none"},
                             {"norm", "layer"}, {"time", "quadratic"}, {"decode-cost", "linear"},
                             {"causality", "causal"}),
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
