/* Perceiver AR (perceiver-ar; lucidrains/perceiver-ar-pytorch CausalPrefixAttention): the tokens after a
 * prefix of c are the latents; they read prefix and latents by one causal attention, and all further layers
 * run on them alone.
 *
 *     y = Wo softmax(q k^T / sqrt(d)) v,  q = Wq norm(z),  (k, v) = Wkv (norm'(p), norm(z))
 *         p = x_0 .. x_{c-1}, z = x_c ..
 *     with `stack`:  z += y,  z += ffn(z),  z += self(z),  z += ffn'(z);     ffn = W2 gelu(W1 norm(.))
 *
 * The first `rotary` channels of q and k turn by absolute positions. The published output is that of the
 * latents alone (latents_only); else y [B, T, D] has zeros for the prefix, or with `stack`, whose residuals
 * are inside, the prefix itself. */
#include "block/kernel.h"

static int64_t rotary_channels(const struct scope *s)
{
    return option_or(s, "rotary", head_dim(s) / 2 / 2 * 2);
}

/* x [B, n, D] by head, its first channels turned for tokens from `start` on. */
static tensor *turned(struct scope *s, tensor *x, int64_t start)
{
    int64_t pairs = rotary_channels(s) / 2, n = x->shape[1];
    x = split_heads(x, option(s, "heads"));
    if (!pairs)
        return x;
    tensor *rates = buffer(s, "rot.inv_freq", init_function(fill_rotary_frequencies), 1, SHAPE(pairs));
    tensor *places = tensor_reshape(tensor_range(s->graph, start, n, 1), 2, SHAPE(n, 1));
    return tensor_rotary(x, tensor_multiply(places, rates), false);
}

/* Attention of q's rows, whose first is token `start`, to all keys so far, of which kv [B, n, 2 H d] from
 * token `key_start` on are new. */
static tensor *attend(struct scope *s, const char *name, tensor *q, tensor *kv, int64_t start,
                      int64_t key_start)
{
    int64_t inner = option(s, "heads") * head_dim(s);
    tensor *k = turned(s, tensor_slice(kv, 2, 0, inner), key_start);
    tensor *v = split_heads(tensor_slice(kv, 2, inner, inner), option(s, "heads"));
    k = cache_append(s, part_name(s, "%s.key", name), k, 0);
    v = cache_append(s, part_name(s, "%s.value", name), v, 0);
    struct attention_options options = {.causal = true, .offset = k->shape[1] - q->shape[1]};
    return merge_heads(tensor_attention(turned(s, q, start), k, v, &options));
}

static tensor *feed_forward(struct scope *s, const char *name, tensor *z)
{
    tensor *n = layer_norm(s, part_name(s, "%s.0", name), z, 1e-5);
    n = tensor_gelu(linear(s, part_name(s, "%s.1", name), n, 4 * s->width, false));
    return tensor_add(z, linear(s, part_name(s, "%s.4", name), n, s->width, false));
}

/* What stands on the cross attention's output y. */
static tensor *stacked(struct scope *s, tensor *z, tensor *y, int64_t start)
{
    int64_t inner = option(s, "heads") * head_dim(s);
    z = feed_forward(s, "cross_ff", tensor_add(z, y));
    tensor *qkv = linear(s, "attn.to_qkv", layer_norm(s, "attn.norm", z, 1e-5), 3 * inner, false);
    y = attend(s, "attn", tensor_slice(qkv, 2, 0, inner), tensor_slice(qkv, 2, inner, 2 * inner), start,
               start);
    z = tensor_add(z, linear(s, "attn.to_out", y, s->width, false));
    return feed_forward(s, "ff", z);
}

/* The tokens of a call that belong to the prefix enter the cache alone. Where all do, one row goes the
 * latents' way without a state, so that all weights are declared. */
static tensor *forward(struct scope *s, tensor *x)
{
    int64_t B = x->shape[0], T = x->shape[1], D = s->width, inner = option(s, "heads") * head_dim(s);
    int64_t before = option(s, "prefix") - s->position;
    before = before < 0 ? 0 : before < T ? before : T;
    int64_t latents = T - before, rows = latents ? latents : 1, start = s->position + T - rows;
    struct scope without_state = *s, *own = latents ? s : &without_state;
    without_state.state = NULL;
    if (!latents && option(s, "latents_only"))
        kernel_fail(s, "the prefix of %lld takes all %lld tokens: there are no latents",
                    (long long)option(s, "prefix"), (long long)T);

    tensor *as_prefix = layer_norm(s, "cross.context_norm", x, 1e-5),
           *as_latents = layer_norm(s, "cross.norm", x, 1e-5);
    tensor *parts[] = {tensor_slice(as_prefix, 1, 0, before), tensor_slice(as_latents, 1, before, latents)};
    tensor *context = before ? latents ? tensor_concat(2, parts, 1) : as_prefix : as_latents;
    tensor *z = tensor_slice(x, 1, T - rows, rows);
    tensor *q = linear(s, "cross.to_q", tensor_slice(as_latents, 1, T - rows, rows), inner, false);
    tensor *y =
        attend(s, "cross", q, linear(s, "cross.to_kv", context, 2 * inner, false), start, s->position);
    y = linear(s, "cross.to_out", y, D, true);
    if (option(s, "stack"))
        y = stacked(own, z, y, start);
    if (option(s, "latents_only") || !before)
        return y;
    tensor *head =
        option(s, "stack") ? tensor_slice(x, 1, 0, before) : tensor_full(s->graph, 0, 3, SHAPE(B, before, D));
    return latents ? tensor_concat(2, (tensor *[]){head, y}, 1) : head;
}

static const char *validate(const struct scope *s)
{
    if (rotary_channels(s) % 2 || rotary_channels(s) > head_dim(s))
        return "rotary is an even number of channels of a head";
    return validate_heads(s);
}

KERNEL(prefix_cross_attention) = {
    .name = "prefix-cross-attention",
    .slot = SLOT_MIXER,
    .variant = "perceiver-ar",
    .summary =
        "the tokens after a prefix read it once by causal attention, and further layers run on them alone",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       INTEGER_OPTION("prefix", 16, 0, 1 << 26, "tokens that are read only"),
                       INTEGER_OPTION("rotary", 0, 0, 4096, "channels of a head that turn; 0: about half"),
                       FLAG_OPTION("stack", 0, "feed-forward networks and a layer of self-attention follow"),
                       FLAG_OPTION("latents_only", 0, "the output has no rows for the prefix")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"position", "rotary"},
                             {"time", "quadratic"}, {"decode-cost", "linear"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
