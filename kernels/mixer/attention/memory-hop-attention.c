/* End-to-end memory networks as a language model has them (memory-network, sections 2.2 and 5;
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

/* What one of the two embeddings makes of each token's N newest ones, oldest first: windows [B, T, N, D] and
 * the rows for their ages [N, D]. */
struct items {
    tensor *windows, *ages;
};

static struct items items(struct scope *s, const char *name, tensor *x)
{
    int64_t count = option(s, "window"), length = x->shape[1];
    tensor *ages = parameter(s, part_name(s, "T%s", name), init_normal(0.05), 2, SHAPE(count, s->width));
    tensor *rows = cache_append(s, name, linear(s, name, x, s->width, false), count - 1);
    int64_t absent = length + count - 1 - rows->shape[1];
    rows = tensor_pad(rows, 1, absent, 0, 0);
    return (struct items){tensor_windows(rows, 1, count, 1), tensor_flip(ages, 0)};
}

/* Added to scores: -infinity where there is no token yet, [T, N]. */
static tensor *absence(struct scope *s, int64_t length, int64_t count)
{
    tensor *mask = tensor_constant(s->graph, NULL, 2, SHAPE(length, count));
    for (int64_t t = 0; t < length; t++)
        for (int64_t n = 0; n < count; n++)
            mask->data[t * count + n] = count - 1 - n > s->position + t ? -(real)INFINITY : 0;
    return mask;
}

/* What u [B, T, D] finds: [B, T, D]. */
static tensor *read(tensor *u, struct items m, struct items c, tensor *absent)
{
    int64_t batch = u->shape[0], length = u->shape[1], width = u->shape[2], count = m.ages->shape[0];
    tensor *products = tensor_matmul_nt(tensor_reshape(u, 4, SHAPE(batch, length, 1, width)), m.windows);
    tensor *scores = tensor_add(tensor_reshape(products, 3, SHAPE(batch, length, count)),
                                tensor_add(tensor_matmul_nt(u, m.ages), absent));
    tensor *shares = tensor_softmax(scores, 2);
    tensor *found = tensor_matmul(tensor_reshape(shares, 4, SHAPE(batch, length, 1, count)), c.windows);
    return tensor_add(tensor_reshape(found, 3, u->shape), tensor_matmul(shares, c.ages));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t length = x->shape[1], width = s->width, straight = option_width(s, "linear");
    struct items m = items(s, "A", x), c = items(s, "C", x);
    tensor *absent = absence(s, length, option(s, "window"));
    tensor *u = tensor_full(s->graph, 0.1, 3, x->shape);
    if (option(s, "question"))
        u = linear(s, "B", x, width, false);
    for (int64_t hop = 0; hop < option(s, "hops"); hop++) {
        u = tensor_add(linear(s, "H", u, width, false), read(u, m, c, absent));
        tensor *bent = tensor_relu(tensor_slice(u, 2, straight, width - straight));
        u = straight ? tensor_concat(2, (tensor *[]){tensor_slice(u, 2, 0, straight), bent}, 2) : bent;
    }
    return u;
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
