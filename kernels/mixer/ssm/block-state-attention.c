/* The Block-State Transformer's mixer (block-state, sections 3.2 to 3.4, pseudocodes 2 to 5; no code
 * published).
 *
 *     u = x Wd,  c = SSM(u) Wl
 *         width / 4 channels, lifted again; a diagonal state space (s4d) a channel
 *     s_t = softmax over own block, j <= t, of (q_t k_j + bias(t - j)) v_j           q, k, v of x
 *     r_t = softmax over own block, j <= t, of (q'_t k'_j) v'_j
 *         q' of x; k', v' of the context states c
 *     y = [s ; r] Wo
 *
 * The context states of a block are those of its own tokens, of which a query sees the ones up to its own:
 * they hold all of the past. single-head: one state space, from whose output all heads take their keys and
 * values; multi-head: an output map C of the state space for each head. multi-filter (pseudocode 4):
 * `filters` output maps, whose states after the block before, all of them seen, are the context; the first
 * block has a trained one, and each map's states get a trained identity. The bias is T5's. */
#include "block/modes.h"
#include <math.h>

static int64_t inner_width(const struct scope *s)
{
    return s->width / 4 ? s->width / 4 : 1;
}

/* The state space's outputs [B, T, contexts, width / 4]. */
static tensor *state_space(struct scope *s, tensor *x, int64_t contexts)
{
    int64_t channels = inner_width(s), n = option(s, "state") / 2;
    tensor *u = linear(s, "down_proj", x, channels, false);
    tensor *log_real = parameter(s, "ssm.log_A_real", init_constant(log(0.5)), 2, SHAPE(channels, n));
    tensor *log_dt = parameter(s, "ssm.log_dt", init_function(fill_log_steps), 1, SHAPE(channels));
    struct pair a = {
        tensor_negate(tensor_exp(log_real)),
        parameter(s, "ssm.A_imag", init_function(fill_linear_frequencies), 2, SHAPE(channels, n))};
    struct pair rate = pair_scaled(a, tensor_reshape(tensor_exp(log_dt), 2, SHAPE(channels, 1)));
    tensor *C = parameter(s, "ssm.C", init_normal(sqrt(0.5)), 4, SHAPE(contexts, channels, n, 2));
    struct pair weight = pair_of(tensor_reshape(C, 3, SHAPE(contexts * channels, n, 2)));
    weight = pair_product(weight, pair_repeated(zero_order_input(a, rate), 0, contexts));
    struct modes modes = {pair_repeated(rate, 0, contexts), pair_scaled(weight, tensor_scalar(s->graph, 2))};
    tensor *D = parameter(s, "ssm.D", init_normal(1), 1, SHAPE(contexts * channels));
    tensor *in = tensor_repeat(u, 2, contexts);
    tensor *c = tensor_add(kept_modes(s, "ssm", &modes, in, 0), tensor_multiply(in, D));
    return tensor_reshape(c, 4, SHAPE(x->shape[0], x->shape[1], contexts, channels));
}

/* Keys or values of the contexts, [B, T, H, d]: each head has its rows of one matrix. */
static tensor *of_context(struct scope *s, const char *name, tensor *context)
{
    int64_t heads = option(s, "heads"), width = s->width, d = head_dim(s), batch = context->shape[0];
    if (context->shape[2] == 1)
        return split_heads(linear(s, name, tensor_reshape(context, 3, SHAPE(batch, -1, width)), width, false),
                           heads);
    tensor *weight = parameter(s, part_name(s, "%s.weight", name), init_linear(), 2, SHAPE(width, width));
    tensor *by_head =
        tensor_matmul_nt(tensor_transpose(context, 1, 2), tensor_reshape(weight, 3, SHAPE(heads, d, width)));
    return tensor_transpose(by_head, 1, 2);
}

/* Causal attention inside blocks of the window's size, with a cache of one block under the two names. */
static tensor *in_blocks(struct scope *s, const char *key, const char *value, tensor *q, tensor *k, tensor *v,
                         tensor *distance_bias)
{
    int64_t w = option(s, "window");
    if (w > 1) {
        k = cache_append(s, key, k, w - 1);
        v = cache_append(s, value, v, w - 1);
    }
    int64_t offset = k->shape[1] - q->shape[1];
    struct attention_options options = {.causal = true,
                                        .offset = offset,
                                        .block = w,
                                        .start = s->position - offset,
                                        .distance_bias = distance_bias};
    return tensor_attention(q, k, v, &options);
}

/* Queries of x over the context states up to their own token. */
static tensor *over_own_block(struct scope *s, tensor *q, tensor *x)
{
    int64_t contexts = option_is(s, "contexts", "multi-head") ? option(s, "heads") : 1;
    tensor *context = linear(s, "up_proj", state_space(s, x, contexts), s->width, false);
    tensor *k = of_context(s, "context_k_proj", context), *v = of_context(s, "context_v_proj", context);
    return in_blocks(s, "context_key", "context_value", q, k, v, NULL);
}

/* For the blocks that the new tokens touch, `place` of whose first went before: the filters' outputs after
 * the block before each, [B, blocks, S, width / 4]. The one that follows is kept. */
static tensor *collected(struct scope *s, tensor *outputs, int64_t place, int64_t blocks)
{
    int64_t w = option(s, "window"), batch = outputs->shape[0], length = outputs->shape[1];
    const int64_t *shape = SHAPE(batch, 1, outputs->shape[2], outputs->shape[3]);
    tensor *first = parameter(s, "init_context", init_normal(1), 2, shape + 2);
    tensor *context = tensor_broadcast(tensor_reshape(first, 4, SHAPE(1, 1, shape[2], shape[3])), 4, shape);
    tensor *kept = s->state ? state(s, "context", 0, 4, shape) : NULL;
    if (kept && s->position > 0)
        context = kept;
    if (blocks > 1) {
        tensor *whole = tensor_slice(tensor_pad(outputs, 1, place, 0, 0), 1, 0, (blocks - 1) * w);
        whole = tensor_reshape(whole, 4, SHAPE(batch, blocks - 1, w, shape[2] * shape[3]));
        whole =
            tensor_reshape(tensor_slice(whole, 2, w - 1, 1), 4, SHAPE(batch, blocks - 1, shape[2], shape[3]));
        context = tensor_concat(2, (tensor *[]){context, whole}, 1);
    }
    if (s->state)
        state_set(s, "context",
                  (place + length) % w ? tensor_slice(context, 1, blocks - 1, 1)
                                       : tensor_slice(outputs, 1, length - 1, 1));
    return context;
}

/* Queries of x over all filters' states of the block before. */
static tensor *over_filters(struct scope *s, tensor *q, tensor *x)
{
    int64_t w = option(s, "window"), filters = option(s, "filters"), heads = option(s, "heads"),
            batch = x->shape[0], length = x->shape[1], d = head_dim(s);
    int64_t place = s->position % w, blocks = (place + length + w - 1) / w;
    tensor *context = collected(s, state_space(s, x, filters), place, blocks);
    context = linear(s, "up_proj", context, s->width, false);
    context =
        tensor_add(context, parameter(s, "context_ids", init_normal(0.02), 2, SHAPE(filters, s->width)));
    context = tensor_reshape(context, 3, SHAPE(batch * blocks, filters, s->width));
    tensor *k = split_heads(linear(s, "context_k_proj", context, s->width, false), heads);
    tensor *v = split_heads(linear(s, "context_v_proj", context, s->width, false), heads);
    struct attention_options all = {0};
    if (blocks == 1)
        return tensor_attention(q, k, v, &all);
    q = tensor_pad(q, 1, place, blocks * w - place - length, 0);
    tensor *y = tensor_attention(tensor_reshape(q, 4, SHAPE(batch * blocks, w, heads, d)), k, v, &all);
    return tensor_slice(tensor_reshape(y, 4, SHAPE(batch, blocks * w, heads, d)), 1, place, length);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), w = option(s, "window");
    tensor *parts[3];
    static const char *const names[] = {"q_proj", "k_proj", "v_proj"};
    for (int i = 0; i < 3; i++)
        parts[i] = split_heads(linear(s, names[i], x, s->width, false), heads);
    tensor *table = parameter(s, "relative_attention_bias.weight", init_normal(0.02), 2,
                              SHAPE(option(s, "buckets"), heads));
    tensor *bias = bucketed_distance_bias(table, option(s, "max_distance"), w);
    tensor *self = in_blocks(s, "key", "value", parts[0], parts[1], parts[2], bias);

    tensor *q = split_heads(linear(s, "context_q_proj", x, s->width, false), heads);
    tensor *cross = (option_is(s, "contexts", "multi-filter") ? over_filters : over_own_block)(s, q, x);
    tensor *both = tensor_concat(2, (tensor *[]){merge_heads(self), merge_heads(cross)}, 2);
    return linear(s, "o_proj", both, s->width, false);
}

static const char *validate(const struct scope *s)
{
    if (validate_heads(s))
        return validate_heads(s);
    return option(s, "state") % 2 ? "state counts conjugate pairs twice and must be even" : NULL;
}

KERNEL(block_state_attention) = {
    .name = "block-state-attention",
    .slot = SLOT_MIXER,
    .variant = "block-state",
    .summary =
        "attention inside blocks, to the tokens and to the outputs of a state space over all of the past",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("window", 512, 1, 1 << 20, "tokens of a block"),
                       INTEGER_OPTION("state", 16, 2, 4096, "states of a channel, conjugates counted"),
                       CHOICE_OPTION("contexts", "single-head|multi-head|multi-filter",
                                     "one output of the state space, one a head, or filters' last ones"),
                       INTEGER_OPTION("filters", 32, 1, 4096, "context states of multi-filter"),
                       INTEGER_OPTION("buckets", 32, 2, 4096, "of the bias by distance"),
                       INTEGER_OPTION("max_distance", 128, 2, 1 << 20,
                                      "from which on all are in the last bucket")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "block"}, {"state", "window-cache"}, {"position", "bias"},
                             {"memory", "compressed"}, {"time", "log-linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
