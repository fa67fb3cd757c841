/* The Block-State Transformer's mixer (block-state, sections 3.2 to 3.4, pseudocodes 2, 3 and 5; no code published).
 *
 *     u = x Wd,  c = SSM(u) Wl            width / 4 channels, lifted again; a diagonal state space (s4d) a channel
 *     s_t = softmax over own block, j <= t, of (q_t k_j + bias(t - j)) v_j           q, k, v of x
 *     r_t = softmax over own block, j <= t, of (q'_t k'_j) v'_j                      q' of x; k', v' of the context states c
 *     y = [s ; r] Wo
 *
 * The context states of a block are those of its own tokens, of which a query sees the ones up to its own: they hold all of the past.
 * single-head: one state space, from whose output all heads take their keys and values; multi-head: an output map C of the state space for
 * each head. Multi-filter contexts are not here. The bias is T5's. */
#include "block/modes.h"
#include <math.h>

static int64_t head_dim(const struct scope *s)
{
    return s->width / option(s, "heads");
}

/* Context states [B, T, contexts, D], of one or of H output maps. */
static tensor *context_states(struct scope *s, tensor *x, int64_t contexts)
{
    int64_t channels = s->width / 4 ? s->width / 4 : 1, n = option(s, "state") / 2;
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
    c = tensor_reshape(c, 4, SHAPE(x->shape[0], x->shape[1], contexts, channels));
    return linear(s, "up_proj", c, s->width, false);
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
    k = cache_append(s, key, k, w - 1);
    v = cache_append(s, value, v, w - 1);
    int64_t offset = k->shape[1] - q->shape[1];
    struct attention_options options = {.causal = true,
                                        .offset = offset,
                                        .block = w,
                                        .start = s->position - offset,
                                        .distance_bias = distance_bias};
    return tensor_attention(q, k, v, &options);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), w = option(s, "window");
    tensor *parts[3];
    static const char *const names[] = {"q_proj", "k_proj", "v_proj"};
    for (int i = 0; i < 3; i++)
        parts[i] = split_heads(linear(s, names[i], x, s->width, false), heads);
    tensor *bias = bucketed_distance_bias(s, "relative_attention_bias", heads, option(s, "buckets"),
                                          option(s, "max_distance"), w);
    tensor *self = in_blocks(s, "key", "value", parts[0], parts[1], parts[2], bias);

    tensor *context = context_states(s, x, option_is(s, "contexts", "multi-head") ? heads : 1);
    tensor *q = split_heads(linear(s, "context_q_proj", x, s->width, false), heads);
    tensor *cross = in_blocks(s, "context_key", "context_value", q, of_context(s, "context_k_proj", context),
                              of_context(s, "context_v_proj", context), NULL);
    tensor *both = tensor_concat(2, (tensor *[]){merge_heads(self), merge_heads(cross)}, 2);
    return linear(s, "o_proj", both, s->width, false);
}

static const char *validate(const struct scope *s)
{
    if (s->width % option(s, "heads"))
        return "the width is not divisible by the number of heads";
    return option(s, "state") % 2 ? "state counts conjugate pairs twice and must be even" : NULL;
}

KERNEL(block_state_attention) = {
    .name = "block-state-attention",
    .slot = SLOT_MIXER,
    .variant = "block-state",
    .summary =
        "attention inside blocks, to the tokens and to the outputs of a state space over all of the past",
    .options = OPTIONS(
        INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
        INTEGER_OPTION("window", 512, 1, 1 << 20, "tokens of a block"),
        INTEGER_OPTION("state", 16, 2, 4096, "states of a channel, conjugates counted"),
        CHOICE_OPTION("contexts", "single-head|multi-head", "one output of the state space, or one a head"),
        INTEGER_OPTION("buckets", 32, 2, 4096, "of the bias by distance"),
        INTEGER_OPTION("max_distance", 128, 2, 1 << 20, "from which on all are in the last bucket")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "block"}, {"state", "window-cache"}, {"position", "bias"},
                             {"memory", "compressed"}, {"time", "log-linear"}, {"decode-cost", "constant"},
                             {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
