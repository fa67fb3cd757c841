/* Attention that looks back for the segment and ahead for its memory (lamemo; thu-coai/LaMemo
 * LaMemoRelPartialLearnableMultiHeadAttn). Rows are [memory ; segment]:
 *
 *     segment:  Transformer-XL's attention,  score = ((q + u) . k_j + (q + v) . r(i - j)) / sqrt(d)
 *     memory:   the same with r(j - i) and v' for v (and u' for u), over later rows up to the first of the
 *               segment, b,
 *               a' = w a + (1 - w) b,   w = e^s / (e^s + e^t + 1e-6 e^max(s, t))
 *
 * a and s: result and log of the sum of exponentials of what the row has seen in earlier segments, t that of
 * b; a' and log(e^s + e^t) are carried on, without gradient. r(n) = r_net of sinusoids of the distance. Rows
 * look ahead as far as the last min(memory, segment) rows. Both biases of one set are shared by all layers;
 * `own_content_bias` is the published attn_type 32. */
#include "block/kernel.h"
#include <math.h>

/* r(n) for n = count - 1 down to 0: [H, count, d]. */
static tensor *distances(struct scope *s, int64_t count, int64_t heads, int64_t d)
{
    struct sinusoids falling = {count - 1, -1, option(s, "clamp"), 10000, true};
    tensor *r = linear(s, "r_net", sinusoids(s, count, falling), heads * d, false);
    return tensor_transpose(tensor_reshape(r, 3, SHAPE(count, heads, d)), 0, 1);
}

static tensor *biased(struct scope *s, const char *name, tensor *q)
{
    tensor *bias = shared_parameter(s, name, init_normal(0.02), 2, SHAPE(q->shape[2], q->shape[3]));
    return tensor_transpose(tensor_add(q, bias), 1, 2);
}

struct seen {
    tensor *values, *log_sum; /* [B, T, H, d], [B, T, H, 1] */
};

/* Attention of rows q, [B, T, H, d], to keys whose distance from row t is t - s + S - T + ahead; row t sees
 * keys up to S - T + t. */
static struct seen attend(struct scope *s, const char *content, const char *distance, tensor *q, tensor *k,
                          tensor *v, int64_t ahead)
{
    int64_t rows = q->shape[1], columns = k->shape[1], heads = q->shape[2], d = q->shape[3];
    int64_t all = columns > rows
                      ? columns
                      : rows; /* where there are fewer keys than rows, those missing are never seen */
    tensor *r = tensor_slice(distances(s, all + ahead, heads, d), 1, 0, all);
    tensor *by_distance = relative_shift(tensor_matmul_nt(biased(s, distance, q), r));
    by_distance = tensor_slice(by_distance, 3, 0, columns);
    tensor *scores =
        tensor_add(tensor_matmul_nt(biased(s, content, q), tensor_transpose(k, 1, 2)), by_distance);
    scores = tensor_scale(scores, 1 / sqrt((double)d));
    tensor *hidden = tensor_constant(s->graph, NULL, 2, SHAPE(rows, columns));
    for (int64_t n = 0; n < rows * columns; n++)
        hidden->data[n] = n % columns <= all - rows + n / columns ? 0 : -(real)INFINITY;
    scores = tensor_add(scores, hidden);
    tensor *values = tensor_matmul(tensor_softmax(scores, 3), tensor_transpose(v, 1, 2));
    return (struct seen){tensor_contiguous(tensor_transpose(values, 1, 2)),
                         tensor_contiguous(tensor_transpose(tensor_log_sum_exp(scores, 3), 1, 2))};
}

/* What memory rows know now. */
static struct seen look_ahead(struct scope *s, tensor *q, tensor *k, tensor *v, int64_t memory,
                              struct seen before)
{
    int64_t reach = q->shape[1] - memory < memory ? q->shape[1] - memory : memory;
    const char *content = option(s, "own_content_bias") ? "r_w_bias_future" : "r_w_bias";
    /* Backwards in time ahead is behind: the first of the segment, then the memory from its end. */
    tensor *rows = tensor_flip(tensor_slice(q, 1, 0, memory), 1);
    tensor *keys = tensor_flip(tensor_slice(k, 1, memory + 1 - reach, reach), 1);
    tensor *values = tensor_flip(tensor_slice(v, 1, memory + 1 - reach, reach), 1);
    struct seen ahead = attend(s, content, "r_r_bias_future", rows, keys, values, 1);
    tensor *b = tensor_flip(ahead.values, 1), *t = tensor_flip(ahead.log_sum, 1),
           *largest = tensor_maximum(before.log_sum, t);
    tensor *old = tensor_exp(tensor_subtract(before.log_sum, largest)),
           *new = tensor_exp(tensor_subtract(t, largest));
    tensor *share = tensor_divide(old, tensor_affine(tensor_add(old, new), 1, 1e-6));
    tensor *a = tensor_add(b, tensor_multiply(share, tensor_subtract(before.values, b)));
    return (struct seen){a, tensor_add(largest, tensor_log(tensor_add(old, new)))};
}

static tensor *rows_through(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = head_dim(s), limit = option(s, "memory");
    struct seen before = {carried(s, "values"), carried(s, "log_sum")};
    int64_t memory = before.values ? before.values->shape[1] : 0, rows = x->shape[1] - memory;
    tensor *q = split_heads(linear(s, "q_net", x, heads * d, false), heads);
    tensor *kv = linear(s, "kv_net", x, 2 * heads * d, false);
    tensor *k = split_heads(tensor_slice(kv, 2, 0, heads * d), heads);
    tensor *v = split_heads(tensor_slice(kv, 2, heads * d, heads * d), heads);
    shared_parameter(s, "r_r_bias_future", init_normal(0.02), 2, SHAPE(heads, d));
    if (option(s, "own_content_bias"))
        shared_parameter(s, "r_w_bias_future", init_normal(0.02), 2, SHAPE(heads, d));
    struct seen all = attend(s, "r_w_bias", "r_r_bias", tensor_slice(q, 1, memory, rows), k, v, 0);
    if (memory) {
        struct seen old = look_ahead(s, q, k, v, memory, before);
        all.values = tensor_concat(2, (tensor *[]){old.values, all.values}, 1);
        all.log_sum = tensor_concat(2, (tensor *[]){old.log_sum, all.log_sum}, 1);
    }
    if (limit) {
        carry(s, "values", newest_rows(NULL, tensor_stop_gradient(all.values), limit));
        carry(s, "log_sum", newest_rows(NULL, tensor_stop_gradient(all.log_sum), limit));
    }
    return linear(s, "o_net", merge_heads(all.values), s->width, false);
}

static tensor *whole(struct scope *s, tensor *x)
{
    return by_segments(s, x, x->shape[1], rows_through);
}

static tensor *forward(struct scope *s, tensor *x)
{
    return s->carried ? rows_through(s, x) : whole(s, x);
}

static const char *validate(const struct scope *s)
{
    return s->width % 2 ? "the width must be even" : validate_heads(s);
}

KERNEL(look_ahead_attention) = {
    .name = "look-ahead-attention",
    .slot = SLOT_MIXER,
    .variant = "lamemo",
    .summary = "the segment looks back, remembered rows look ahead and mix that with what they knew",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       INTEGER_OPTION("memory", 64, 0, 1 << 24, "rows that the memory above keeps"),
                       INTEGER_OPTION("clamp", 0, -1, 1 << 24,
                                      "distances beyond it count as it; 0 or -1: none"),
                       FLAG_OPTION("own_content_bias", 0, "looking ahead has a content bias of its own")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"position", "relative"}, {"state", "cache"},
                             {"time", "quadratic"}, {"decode-cost", "replay"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
};
