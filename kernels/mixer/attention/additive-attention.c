/* A recurrent translator with additive attention (additive-attention). An encoder reads the source both ways,
 * and a decoder whose inputs are x looks over it before each of its steps:
 *
 *     h_j = (GRU forward, GRU backward)(source)_j                                  [2 n]
 *     e_tj = v_a . tanh(W_a s_{t-1} + U_a h_j),   c_t = sum_j softmax_j(e_tj) h_j,
 *         s_0 = tanh(W_s backward h_0)
 *     r, z = sigmoid(W x_t + U s_{t-1} + C c_t + b),   g = tanh(W x_t + U (r s_{t-1}) + C c_t + b),
 *         y_t = s_t = z s_{t-1} + (1 - z) g
 *
 * z is the share that is kept, as in gru; the paper's is the share that is replaced. Rows of decoder.input,
 * .state and .context are (r, z, g). The source is the further input `source` [B, S, any width]; without it x
 * is its own source. What follows in the paper, a maxout layer over s, x and c before the words, is no part
 * of the mixer. Scores depend on the state: one token after the other. */
#include "../recurrent/gated-recurrence.h"
#include "query-blocks.h"

struct decoder {
    tensor *annotations, *keys; /* h [B, S, 2 n] and U_a h [B, S, p] */
    tensor *query, *score;      /* W_a [p, D] and v_a [p, 1] */
    tensor *inputs;             /* W x + b of all tokens, [B, T, 3 D] */
    tensor *state, *context;    /* U [3 D, D] and C [3 D, 2 n] */
    tensor *s;                  /* s_{t-1} [B, 1, D] */
};

static tensor *gate_rows(tensor *x, int64_t first, int64_t count, int64_t width)
{
    return tensor_slice(x, 2, first * width, count * width);
}

/* s_t from s_{t-1}, for one token; leaves it in the decoder. */
static tensor *decode(void *argument, int64_t t, int64_t rows)
{
    struct decoder *d = argument;
    int64_t width = d->s->shape[2];
    tensor *hidden = tensor_tanh(tensor_add(d->keys, tensor_linear(d->s, d->query, NULL)));
    tensor *shares = tensor_softmax(tensor_matmul(hidden, d->score), 1);
    tensor *context = tensor_matmul_tn(shares, d->annotations);
    tensor *from_outside =
        tensor_add(tensor_slice(d->inputs, 1, t, rows), tensor_linear(context, d->context, NULL));
    tensor *own = tensor_linear(d->s, tensor_slice(d->state, 0, 0, 2 * width), NULL);
    tensor *gates = tensor_sigmoid(tensor_add(gate_rows(from_outside, 0, 2, width), own));
    tensor *seen = tensor_multiply(gate_rows(gates, 0, 1, width), d->s);
    own = tensor_linear(seen, tensor_slice(d->state, 0, 2 * width, width), NULL);
    tensor *fresh = tensor_tanh(tensor_add(gate_rows(from_outside, 2, 1, width), own));
    tensor *keep = gate_rows(gates, 1, 1, width);
    return d->s = tensor_add(fresh, tensor_multiply(keep, tensor_subtract(d->s, fresh)));
}

static tensor *encode(struct scope *s, tensor *source, tensor **backward)
{
    int64_t hidden = option_or(s, "hidden", s->width);
    tensor *forward = gated_recurrence(s, "encoder.", "", source, hidden, true);
    *backward = gated_recurrence(s, "encoder.", "_reverse", tensor_flip(source, 1), hidden, true);
    *backward = tensor_flip(*backward, 1);
    return tensor_concat(2, (tensor *[]){forward, *backward}, 2);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t width = s->width, features = option_or(s, "features", width);
    tensor *source = further_input(s, "source"), *backward;
    if (source && (source->rank != 3 || source->shape[0] != x->shape[0]))
        kernel_fail(s, "the input source is not [B, tokens, width] for the batch of the tokens");
    tensor *h = encode(s, source ? source : x, &backward);
    int64_t annotation = h->shape[2];
    struct decoder d = {
        .annotations = h,
        .keys = linear(s, "alignment.U_a", h, features, false),
        .query = parameter(s, "alignment.W_a.weight", init_linear(), 2, SHAPE(features, width)),
        .score = parameter(s, "alignment.v_a", init_normal(0.02), 2, SHAPE(features, 1)),
        .inputs = linear(s, "decoder.input", x, 3 * width, true),
        .state = parameter(s, "decoder.state.weight", init_linear(), 2, SHAPE(3 * width, width)),
        .context = parameter(s, "decoder.context.weight", init_linear(), 2, SHAPE(3 * width, annotation)),
        .s = tensor_tanh(linear(s, "decoder.W_s", tensor_slice(backward, 1, 0, 1), width, true)),
    };
    return join_query_blocks(decode, &d, 0, x->shape[1], 1);
}

KERNEL(additive_attention) = {
    .name = "additive-attention",
    .slot = SLOT_MIXER,
    .variant = "additive-attention",
    .summary = "a recurrent decoder that scores all states of an encoder by a small network at each token",
    .options = OPTIONS(INTEGER_OPTION("hidden", 0, 0, 1 << 16, "state of either encoder, n; 0: the width"),
                       INTEGER_OPTION("features", 0, 0, 1 << 16,
                                      "hidden units of the scoring network, p; 0: the width")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "single"},
                             {"visibility", "all"}, {"state", "vector"}, {"update", "gated"},
                             {"position", "none"}, {"time", "quadratic"}, {"causality", "bidirectional"}),
    .forward = forward,
};
