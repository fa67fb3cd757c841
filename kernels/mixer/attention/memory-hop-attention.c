/* End-to-end memory networks as a language model has them (memory-network;
 * facebookarchive/MemNN MemN2N-lang-model model.lua): a state reads the newest N tokens several times over.
 * For n = 0 .. N - 1, as far as there are tokens,
 *
 *     m_n = A x_{t-n} + TA_n,   c_n = C x_{t-n} + TC_n,   u = (0.1, .., 0.1)
 *     K times:  o = sum_n softmax_n(u . m_n) c_n,   u <- f(H u + o)
 *
 * and y = u. f is relu on all but the first `linear` channels. A, C and H are the same for all hops: H's
 * weights in place of those that tie layers in the paper's other form. With `question` u starts as B x_t, as
 * where a question is asked (section 2.1). TA's and TC's row n is for the n-th newest token. */
#include "block/kernel.h"
#include <math.h>

/* Queries are taken in blocks of Q, each with the Q + N - 1 rows that any of them sees, so that products are
 * of matrices. Query r of a block sees rows r to r + N - 1, which stand by age, oldest first, elsewhere. */
struct items {
    tensor *rows; /* of one of the two embeddings, [B, blocks, Q + N - 1, D] */
    tensor *ages; /* what is added to them, [N, D] */
};

static struct items items(struct scope *s, const char *name, tensor *x, int64_t Q, int64_t blocks)
{
    int64_t N = option(s, "window"), length = x->shape[1];
    tensor *ages = parameter(s, part_name(s, "T%s", name), init_normal(0.05), 2, SHAPE(N, s->width));
    tensor *rows = linear(s, name, x, s->width, false);
    rows = N > 1 ? cache_append(s, name, rows, N - 1) : rows;
    int64_t absent = length + N - 1 - rows->shape[1];
    rows = tensor_pad(rows, 1, absent, blocks * Q - length, 0);
    return (struct items){tensor_windows(rows, 1, Q + N - 1, Q), tensor_flip(ages, 0)};
}

/* Entries r to r + N - 1 of each row r: [B, blocks, Q, Q + N - 1] -> [B, blocks, Q, N]. */
static tensor *by_age(tensor *x, int64_t N)
{
    int64_t batch = x->shape[0], blocks = x->shape[1], Q = x->shape[2], L = x->shape[3];
    tensor *flat = tensor_pad(tensor_reshape(x, 3, SHAPE(batch, blocks, Q * L)), 2, 0, Q, 0);
    return tensor_slice(tensor_reshape(flat, 4, SHAPE(batch, blocks, Q, L + 1)), 3, 0, N);
}

/* Back, with zeros elsewhere. */
static tensor *by_row(tensor *x)
{
    int64_t batch = x->shape[0], blocks = x->shape[1], Q = x->shape[2], N = x->shape[3], L = Q + N - 1;
    tensor *flat = tensor_reshape(tensor_pad(x, 3, 0, Q, 0), 3, SHAPE(batch, blocks, Q * (L + 1)));
    return tensor_reshape(tensor_slice(flat, 2, 0, Q * L), 4, SHAPE(batch, blocks, Q, L));
}

/* Added to scores: -infinity where there is no token yet, [blocks, Q, N]. */
static tensor *absence(struct scope *s, int64_t Q, int64_t blocks)
{
    int64_t N = option(s, "window");
    tensor *mask = tensor_constant(s->graph, NULL, 3, SHAPE(blocks, Q, N));
    for (int64_t t = 0; t < blocks * Q; t++)
        for (int64_t n = 0; n < N; n++)
            mask->data[t * N + n] = N - 1 - n > s->position + t ? -(real)INFINITY : 0;
    return mask;
}

/* What u [B, blocks, Q, D] finds. */
static tensor *read(tensor *u, struct items m, struct items c, tensor *absent)
{
    tensor *scores = by_age(tensor_matmul_nt(u, m.rows), m.ages->shape[0]);
    scores = tensor_add(scores, tensor_add(tensor_matmul_nt(u, m.ages), absent));
    tensor *shares = tensor_softmax(scores, 3);
    return tensor_add(tensor_matmul(by_row(shares), c.rows), tensor_matmul(shares, c.ages));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t batch = x->shape[0], length = x->shape[1], width = s->width;
    int64_t N = option(s, "window"), Q = length < N ? length : N, blocks = (length + Q - 1) / Q;
    int64_t straight = option_width(s, "linear");
    struct items m = items(s, "A", x, Q, blocks), c = items(s, "C", x, Q, blocks);
    tensor *absent = absence(s, Q, blocks);
    tensor *u = tensor_full(s->graph, 0.1, 3, x->shape);
    if (option(s, "question"))
        u = linear(s, "B", x, width, false);
    u = tensor_reshape(tensor_pad(u, 1, 0, blocks * Q - length, 0), 4, SHAPE(batch, blocks, Q, width));
    for (int64_t hop = 0; hop < option(s, "hops"); hop++) {
        u = tensor_add(linear(s, "H", u, width, false), read(u, m, c, absent));
        tensor *bent = tensor_relu(tensor_slice(u, 3, straight, width - straight));
        u = straight ? tensor_concat(2, (tensor *[]){tensor_slice(u, 3, 0, straight), bent}, 3) : bent;
    }
    return tensor_slice(tensor_reshape(u, 3, SHAPE(batch, blocks * Q, width)), 1, 0, length);
}

static const char *validate(const struct scope *s)
{
    return option_width(s, "linear") >= s->width ? "linear leaves no channel for relu" : NULL;
}

KERNEL(memory_hop_attention) = {
    .name = "memory-hop-attention",
    .slot = SLOT_MIXER,
    .variant = "memory-network",
    .summary = "a state reads the newest tokens several times over",
    .options = OPTIONS(INTEGER_OPTION("window", 100, 1, 1 << 20, "tokens in memory"),
                       INTEGER_OPTION("hops", 6, 1, 64, "readings"),
                       REAL_OPTION("linear", 0.5, 0, 1, "share of the channels that relu leaves alone"),
                       FLAG_OPTION("question", 0, "the state starts from the token, not from a constant")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "single"},
                             {"visibility", "window"}, {"state", "window-cache"}, {"position", "relative"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
