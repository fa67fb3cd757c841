/* Multi-head softmax attention (transformer, section 3.2.2) with shared key-value heads (mqa; gqa,
 * section 2.2).
 *
 *     q = x Wq, k = x Wk, v = x Wv     H query heads and G key-value heads of d channels, contiguous slices
 *     y = concat_h( softmax( q_h k_g^T / sqrt(d) + bias, over s <= t ) v_g ) Wo,    g = floor(h G / H)
 *
 * T5 has no 1 / sqrt(d) (scale 1); torchscale may have a layer norm in front of Wo (inner_norm).
 * x-transformers may multiply what enters Wo by sigmoid(x Wg + b) (output_gate) and turn values as keys are
 * (rotated_values). Optimus lets all tokens see rows that its objective leaves for a layer (prefixed).
 *
 * The block's position kernel rotates q and k or gives the bias. Projections are one matrix each (q_proj,
 * k_proj, v_proj, o_proj, as in LLaMA), or q, k and v are consecutive slices of one (fused: qkv_proj, as
 * GPT-2's c_attn) and Wo may be the fourth (all_fused: qkvo_proj), or those of k and v are (joint_keys:
 * kv_proj), or that one holds for each key-value head its queries, its key and its value (grouped, as
 * LitGPT's attn). With a bottleneck r separate ones are products of two thin maps, through 1 / r of their
 * outputs. */
#include "block/kernel.h"
#include <string.h>

static const char *validate(const struct scope *s)
{
    if (validate_heads(s))
        return validate_heads(s);
    if (option_is(s, "projections", "all_fused") && option(s, "heads") * head_dim(s) != s->width)
        return "one matrix for all projections takes heads * head_dim = width";
    if (option_is(s, "projections", "all_fused") && option(s, "bias") != option(s, "output_bias"))
        return "one matrix for all projections has biases for all of them or for none";
    if (option(s, "bottleneck") && !option_is(s, "projections", "separate"))
        return "a bottleneck takes separate projections";
    if (option(s, "bottleneck") > key_value_heads(s) * head_dim(s))
        return "the bottleneck leaves keys no channels";
    return NULL;
}

static tensor *project(struct scope *s, const char *name, tensor *x, int64_t outputs, bool bias)
{
    int64_t bottleneck = option(s, "bottleneck"), rank = bottleneck ? outputs / bottleneck : 0;
    return low_rank_linear(s, name, x, rank, outputs, bias);
}

/* Rows [first, first + count) of the one matrix that holds the projections to q, k and v, and perhaps the
 * one to the output. */
static tensor *fused_rows(struct scope *s, tensor *x, int64_t all, int64_t first, int64_t count)
{
    bool with_output = option_is(s, "projections", "all_fused");
    const char *name = with_output ? "qkvo_proj" : "qkv_proj";
    int64_t rows = with_output ? all + s->width : all;
    tensor *weight = parameter(s, part_name(s, "%s.weight", name), init_linear(), 2, SHAPE(rows, s->width));
    tensor *bias = NULL;
    if (option(s, "bias"))
        bias = parameter(s, part_name(s, "%s.bias", name), init_constant(0), 1, SHAPE(rows));
    return tensor_linear(x, tensor_slice(weight, 0, first, count),
                         bias ? tensor_slice(bias, 0, first, count) : NULL);
}

/* The projections group by group: the newest `length` rows of q, all of k and v, [B, T, heads, d]. */
static void project_groups(struct scope *s, tensor *seen, int64_t length, int64_t d, tensor **q, tensor **k,
                           tensor **v)
{
    int64_t heads = option(s, "heads"), groups = key_value_heads(s), own = heads / groups;
    int64_t all = (heads + 2 * groups) * d, batch = seen->shape[0], rows = seen->shape[1];
    tensor *qkv = tensor_reshape(fused_rows(s, seen, all, 0, all), 5, SHAPE(batch, rows, groups, own + 2, d));
    *q = tensor_slice(tensor_slice(qkv, 3, 0, own), 1, rows - length, length);
    *q = tensor_reshape(*q, 4, SHAPE(batch, length, heads, d));
    *k = tensor_reshape(tensor_slice(qkv, 3, own, 1), 4, SHAPE(batch, rows, groups, d));
    *v = tensor_reshape(tensor_slice(qkv, 3, own + 1, 1), 4, SHAPE(batch, rows, groups, d));
}

/* Rows [B, M, G d] that an objective leaves for this layer stand in front of the keys and of the values. */
static void put_prefix(struct scope *s, tensor **k, tensor **v)
{
    tensor *rows = layer_find(s, s->layer, "prefix");
    if (!rows || (s->state && s->position > 0)) /* then caches have them */
        return;
    rows = split_heads(rows, (*k)->shape[2]);
    *k = tensor_concat(2, (tensor *[]){rows, *k}, 1);
    *v = tensor_concat(2, (tensor *[]){rows, *v}, 1);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), groups = key_value_heads(s);
    int64_t d = head_dim(s);
    int64_t all = (heads + 2 * groups) * d;
    bool bias = option(s, "bias");
    tensor *seen = x; /* what keys and values are made of */
    bool grouped = option_is(s, "projections", "grouped");
    if (s->memory)
        seen = s->memory_only && !grouped ? s->memory : tensor_concat(2, (tensor *[]){s->memory, x}, 1);
    tensor *q, *k, *v;
    if (grouped) {
        project_groups(s, seen, x->shape[1], d, &q, &k, &v);
        if (s->memory && s->memory_only) {
            k = tensor_slice(k, 1, 0, s->memory->shape[1]);
            v = tensor_slice(v, 1, 0, s->memory->shape[1]);
        }
    } else if (option_is(s, "projections", "separate")) {
        q = split_heads(project(s, "q_proj", x, heads * d, bias), heads);
        k = split_heads(project(s, "k_proj", seen, groups * d, bias), groups);
        v = split_heads(project(s, "v_proj", seen, groups * d, bias), groups);
    } else if (option_is(s, "projections", "joint_keys")) {
        tensor *kv = split_heads(linear(s, "kv_proj", seen, 2 * groups * d, bias), 2 * groups);
        q = split_heads(linear(s, "q_proj", x, heads * d, bias), heads);
        k = tensor_slice(kv, 2, 0, groups);
        v = tensor_slice(kv, 2, groups, groups);
    } else {
        tensor *qkv =
            s->memory ? fused_rows(s, seen, all, heads * d, 2 * groups * d) : fused_rows(s, x, all, 0, all);
        int64_t key = s->memory ? 0 : heads * d;
        q = s->memory ? fused_rows(s, x, all, 0, heads * d) : tensor_slice(qkv, 2, 0, heads * d);
        q = split_heads(q, heads);
        k = split_heads(tensor_slice(qkv, 2, key, groups * d), groups);
        v = split_heads(tensor_slice(qkv, 2, key + groups * d, groups * d), groups);
    }
    if (option(s, "rotated_values"))
        v = rotate_as_keys(s, v, x->shape[1]);
    if (option(s, "prefixed"))
        put_prefix(s, &k, &v);
    int64_t window = option(s, "window");
    if (s->memory_window && (!window || s->memory_window < window))
        window = s->memory_window;
    struct attention_options options = {
        .scale = option_real(s, "scale"), .window = window, .causal = option(s, "causal")};
    tensor *y = merge_heads(positioned_attention(s, q, k, v, options));
    if (option(s, "inner_norm"))
        y = layer_norm(s, "inner_norm", y, option_real(s, "epsilon"));
    if (option(s, "output_gate"))
        y = tensor_multiply(y, tensor_sigmoid(linear(s, "gate_proj", x, heads * d, true)));
    if (option_is(s, "projections", "all_fused"))
        y = fused_rows(s, y, all, all, s->width);
    else
        y = project(s, "o_proj", y, s->width, option(s, "output_bias"));
    layer_leave(s, "attention", y); /* for later layers that make do with it (attention-reuse) */
    return y;
}

static const char *character(const struct scope *s, const char *name)
{
    if (heads_by_option(s, name))
        return heads_by_option(s, name);
    if (strcmp(name, "output-gate") == 0)
        return option(s, "output_gate") ? "yes" : NULL;
    if (strcmp(name, "causality") == 0)
        return causality_by_option(s, name);
    if (option(s, "window") == 0)
        return NULL;
    if (strcmp(name, "visibility") == 0)
        return "window";
    if (strcmp(name, "state") == 0)
        return "window-cache";
    if (strcmp(name, "decode-cost") == 0)
        return "constant";
    return strcmp(name, "time") == 0 ? "linear" : NULL;
}

KERNEL(attention) = {
    .name = "attention",
    .slot = SLOT_MIXER,
    .variant = "transformer",
    .summary = "softmax attention over all earlier tokens, in several heads",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "query heads"),
                       INTEGER_OPTION("kv_heads", 0, 0, 1024, "key-value heads; 0: as many as heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       INTEGER_OPTION("window", 0, 0, 1 << 30, "newest tokens seen; 0: all"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen"),
                       REAL_OPTION("scale", 0, 0, 1e6, "of the scores; 0: 1 / sqrt(head_dim)"),
                       FLAG_OPTION("inner_norm", 0, "a layer norm in front of the output's projection"),
                       REAL_OPTION("epsilon", 1e-5, 0, 1, "of that norm"),
                       CHOICE_OPTION("projections", "separate|fused|joint_keys|grouped|all_fused",
                                     "one matrix each, one for q, k and v or for k and v, by groups, or one"),
                       INTEGER_OPTION("bottleneck", 0, 0, 1 << 16,
                                      "outputs of a projection over its rank; 0: full rank"),
                       FLAG_OPTION("output_gate", 0, "what enters the output's projection is gated"),
                       FLAG_OPTION("rotated_values", 0, "the position kernel turns values too"),
                       FLAG_OPTION("prefixed", 0, "rows that an objective leaves are seen by all tokens"),
                       FLAG_OPTION("bias", 0, "the projections to q, k and v have biases"),
                       FLAG_OPTION("output_bias", 0, "so has the one to the output")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"time", "quadratic"},
                             {"decode-cost", "linear"}, {"causality", "causal"}),
    .character = character,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
