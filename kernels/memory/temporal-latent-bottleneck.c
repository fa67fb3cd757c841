/* Temporal latent bottleneck (temporal-latent-bottleneck, section 2; the Keras example in
 * suvadityamuk/Temporal-Latent-Bottleneck-TF): a fast stream inside chunks and a slow one, S [chunk, D], that
 * is read within and written after each of them.
 *
 *     A(q, kv):  z = LN(q + MHA(LN q, LN kv, LN kv)),  A = z + W2 gelu(W1 z + b1) + b2
 *     F = A_i(F, F), and if i is divisible by `every` F = A_i(F, S), for blocks i = 0, 1, ..;
 *         S = A_tlb(S, F) after the chunk
 *
 * S = 0 at first. There are depth + ceil(depth / every) blocks; as published the same block attends to F and
 * to S. Attention inside a chunk is bidirectional. The whole stack is this kernel: it fills no other slot. */
#include "block/kernel.h"

static tensor *attend(struct scope *s, const char *name, tensor *query, tensor *other)
{
    int64_t heads = option(s, "heads"), inner = heads * head_dim(s);
    tensor *q = layer_norm(s, part_name(s, "%s.q_ln", name), query, 1e-5);
    tensor *k = layer_norm(s, part_name(s, "%s.k_ln", name), other, 1e-5);
    tensor *v = layer_norm(s, part_name(s, "%s.v_ln", name), other, 1e-5);
    q = split_heads(linear(s, part_name(s, "%s.mha.q", name), q, inner, true), heads);
    k = split_heads(linear(s, part_name(s, "%s.mha.k", name), k, inner, true), heads);
    v = split_heads(linear(s, part_name(s, "%s.mha.v", name), v, inner, true), heads);
    tensor *found = merge_heads(tensor_attention(q, k, v, &(struct attention_options){0}));
    tensor *z = tensor_add(query, linear(s, part_name(s, "%s.mha.o", name), found, s->width, true));
    z = layer_norm(s, part_name(s, "%s.ff_ln", name), z, 1e-5);
    tensor *hidden = tensor_gelu(linear(s, part_name(s, "%s.ff1", name), z, 4 * s->width, true));
    return tensor_add(z, linear(s, part_name(s, "%s.ff2", name), hidden, s->width, true));
}

static tensor *segment(struct scope *s, tensor *x)
{
    int64_t depth = option(s, "depth"), every = option(s, "every");
    tensor *slow = carried(s, "slow");
    if (!slow)
        slow = tensor_full(s->graph, 0, 3, SHAPE(x->shape[0], option(s, "segment"), s->width));
    for (int64_t i = 0; i < depth + (depth + every - 1) / every; i++) {
        const char *name = part_name(s, "perceptual_module.%lld", (long long)i);
        x = attend(s, name, x, x);
        if (i % every == 0)
            x = attend(s, name, x, slow);
    }
    carry(s, "slow", attend(s, "tlb_module", slow, x));
    return x;
}

static tensor *forward(struct scope *s, tensor *x)
{
    tensor *y = by_segments(s, x, option(s, "segment"), segment);
    if (!s->state)
        further_output(s, "slow", carried(s, "slow"));
    return y;
}

KERNEL(temporal_latent_bottleneck) = {
    .name = "temporal-latent-bottleneck",
    .slot = SLOT_MEMORY,
    .variant = "temporal-latent-bottleneck",
    .summary = "chunks are processed on their own beside a slow state that they read and write",
    .options = OPTIONS(INTEGER_OPTION("segment", 64, 1, 1 << 20, "tokens of a chunk, and rows of the state"),
                       INTEGER_OPTION("depth", 2, 1, 256, "layers"),
                       INTEGER_OPTION("every", 2, 1, 256, "layers from one look at the state to the next"),
                       INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "block"}, {"memory", "tokens"}, {"state", "segments"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "bidirectional"}),
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
