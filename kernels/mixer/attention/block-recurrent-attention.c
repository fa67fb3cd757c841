/* Block-recurrent attention (block-recurrent, section 3; lucidrains/block-recurrent-transformer-pytorch).
 * Over blocks of `segment` tokens, one key-value head:
 *
 *     y = [attention(q, [k before ; k], [v before ; v]) ; attention(q_s, s_k, s_v)] Wo
 *         the second in recurrent layers
 *
 * with keys and values of the full block before, xPos positions, and in recurrent layers a state S [N, D]
 * that has s_k, s_v = LN(S) + ids as keys and values. Such a layer writes its state with two more attentions,
 * of S to itself and of S to the block's tokens:
 *     u = [attention(S s_q, s_k, s_v) ; attention(S q', k, v)] Wu,    S = b (Wz u + z) + (1 - b) S,
 *         b = sigmoid(learned_ema_beta)
 * Recurrent layers normalise queries and keys to unit length and scale them per channel; xPos and memory keep
 * the raw keys. Nothing is cut from the gradient. `recurrent_layers` counts from 1. */
#include "block/kernel.h"
#include <math.h>

static bool recurrent(const struct scope *s)
{
    int count;
    const double *layers = option_list(s, "recurrent_layers", &count);
    for (int i = 0; i < count; i++)
        if ((int)layers[i] == s->layer + 1)
            return true;
    return false;
}

static tensor *scaled_unit(struct scope *s, const char *name, tensor *x)
{
    tensor *scale = parameter(s, name, init_constant(1), 1, SHAPE(x->shape[3]));
    return tensor_multiply(tensor_l2_norm_max(x, 1e-12), scale);
}

/* Normalises q and k with the scales under `name` where the layer is recurrent. */
static tensor *attend(struct scope *s, const char *name, tensor *q, tensor *k, tensor *v)
{
    q = scaled_unit(s, part_name(s, "%s.q_scale", name), q);
    k = scaled_unit(s, part_name(s, "%s.k_scale", name), k);
    return tensor_attention(q, k, v, &(struct attention_options){0});
}

/* xPos for the rows of a table of two blocks that end it: turned, and scaled by zeta^(sign (t - segment) /
 * 512). */
static tensor *placed(struct scope *s, tensor *x, double sign)
{
    int64_t rows = x->shape[1], d = x->shape[3], first = 2 * option(s, "segment") - rows;
    tensor *scale = tensor_constant(s->graph, NULL, 3, SHAPE(rows, 1, d));
    for (int64_t t = 0; t < rows; t++)
        for (int64_t c = 0; c < d; c++) {
            double zeta = ((double)(2 * (c % (d / 2))) + 0.4 * (double)d) / (1.4 * (double)d);
            double power = sign * (double)(first + t - option(s, "segment")) / 512;
            scale->data[t * d + c] = (real)pow(zeta, power);
        }
    tensor *turned = tensor_rotary(x, rotary_angles(s, first, rows, d / 2, 10000), false);
    return tensor_multiply(turned, scale);
}

/* What the block's queries find in the state; the state after the block is carried. */
static tensor *read_and_write(struct scope *s, tensor *x, tensor *k, tensor *v)
{
    int64_t heads = option(s, "heads"), d = head_dim(s), inner = heads * d, count = option(s, "states");
    tensor *state = carried(s, "state");
    tensor *start = parameter(s, "state_container.init_state", init_normal(1), 2, SHAPE(count, s->width));
    tensor *ids = parameter(s, "state_container.state_pos_ids", init_normal(1), 2, SHAPE(count, s->width));
    if (!state)
        state = tensor_broadcast(start, 3, SHAPE(x->shape[0], count, s->width));
    tensor *gamma = parameter(s, "state_container.state_norm.gamma", init_constant(1), 1, SHAPE(s->width));
    tensor *rows = tensor_add(tensor_layer_norm(state, gamma, NULL, 1e-5), ids);
    tensor *kv = linear(s, "state_container.state_to_kv", rows, 2 * d, false);
    tensor *state_k = split_heads(tensor_slice(kv, 2, 0, d), 1),
           *state_v = split_heads(tensor_slice(kv, 2, d, d), 1);
    tensor *q = split_heads(linear(s, "state_container.q_to_state", x, inner, false), heads);
    tensor *read = attend(s, "state_container.to_state_cross_attn", q, state_k, state_v);

    tensor *own = split_heads(linear(s, "state_container.state_to_q", rows, inner, false), heads);
    tensor *other = split_heads(linear(s, "state_container.q_from_state", rows, inner, false), heads);
    tensor *found[] = {attend(s, "state_container.state_self_attn", own, state_k, state_v),
                       attend(s, "state_container.from_state_cross_attn", other, k, v)};
    tensor *update = merge_heads(tensor_concat(2, found, 3));
    update = linear(s, "state_container.to_state_out", update, s->width, false);
    update = linear(s, "state_container.state_out_to_gate", update, s->width, true);
    tensor *gate =
        tensor_sigmoid(parameter(s, "state_container.learned_ema_beta", init_normal(1), 1, SHAPE(s->width)));
    carry(s, "state", tensor_add(state, tensor_multiply(gate, tensor_subtract(update, state))));
    return read;
}

static tensor *segment(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = head_dim(s);
    tensor *q = split_heads(linear(s, "to_q", x, heads * d, false), heads);
    tensor *kv = linear(s, "to_kv", x, 2 * d, false);
    tensor *k = split_heads(tensor_slice(kv, 2, 0, d), 1), *v = split_heads(tensor_slice(kv, 2, d, d), 1);
    tensor *key_memory = carried(s, "key"), *value_memory = carried(s, "value");
    carry(s, "key", k);
    carry(s, "value", v);
    tensor *keys = key_memory ? tensor_concat(2, (tensor *[]){key_memory, k}, 1) : k;
    tensor *values = value_memory ? tensor_concat(2, (tensor *[]){value_memory, v}, 1) : v;
    if (recurrent(s)) {
        q = scaled_unit(s, "attn.q_scale", q);
        keys = scaled_unit(s, "attn.k_scale", keys);
    }
    struct attention_options options = {.causal = true, .offset = keys->shape[1] - x->shape[1]};
    tensor *y = merge_heads(tensor_attention(placed(s, q, 1), placed(s, keys, -1), values, &options));
    if (recurrent(s))
        y = tensor_concat(2, (tensor *[]){y, merge_heads(read_and_write(s, x, k, v))}, 2);
    return linear(s, "to_out", y, s->width, false);
}

static tensor *forward(struct scope *s, tensor *x)
{
    return by_segments(s, x, option(s, "segment"), segment);
}

static const char *validate(const struct scope *s)
{
    return validate_heads(s) ? validate_heads(s) : head_dim(s) % 2 ? "head_dim must be even" : NULL;
}

KERNEL(block_recurrent_attention) = {
    .name = "block-recurrent-attention",
    .slot = SLOT_MIXER,
    .variant = "block-recurrent",
    .summary = "attention inside blocks and to the one before, beside state vectors that attention updates",
    .options = OPTIONS(INTEGER_OPTION("segment", 128, 1, 1 << 20, "tokens of a block"),
                       INTEGER_OPTION("heads", 8, 1, 1024, "query heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       INTEGER_OPTION("states", 64, 1, 1 << 20, "state vectors"),
                       LIST_OPTION("recurrent_layers", "1", 1, 1024, "layers that have a state, from 1")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"},
                             {"heads", "single-key-value"}, {"visibility", "window"}, {"state", "segments"},
                             {"update", "gated"}, {"memory", "tokens"}, {"position", "rotary"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
