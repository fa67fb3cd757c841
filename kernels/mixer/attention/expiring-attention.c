/* Attention to rows that expire (expire-span; facebookresearch/transformer-sequential models/expire_span.py).
 *
 *     e_s = span sigmoid(w . x_s / divisor + b)                       how long row s is remembered
 *     m_ts = min(1, max(0, (e_s - (t - s)) / ramp + 1)) for s < t
 *         its mask, none for a row itself and later ones
 *     a_ts ~ softmax over m > 0 of the scores, times m, divided by their sum + 1e-8
 *
 * Rows older than span + ramp are never seen: the memory above (expiring-memory) does not keep them, nor does
 * the mixer where it is alone. Scores of a whole segment are held for the mask. */
#include "block/kernel.h"
#include <math.h>

/* t - s by row and column, for queries that are the last rows. */
static tensor *distances(struct graph *graph, int64_t rows, int64_t columns)
{
    tensor *distance = tensor_constant(graph, NULL, 4, SHAPE(1, 1, rows, columns));
    for (int64_t n = 0; n < rows * columns; n++)
        distance->data[n] = (real)(columns - rows + n / columns - n % columns);
    return distance;
}

static tensor *mask(struct scope *s, tensor *seen, tensor *distance)
{
    tensor *raw = linear(s, "span_predictor", tensor_scale(seen, 1 / option_real(s, "divisor")), 1, true);
    tensor *span = tensor_scale(tensor_sigmoid(raw), option_real(s, "span"));
    span = tensor_reshape(span, 4, SHAPE(seen->shape[0], 1, 1, seen->shape[1]));
    tensor *left = tensor_affine(tensor_subtract(span, distance), 1 / option_real(s, "ramp"), 1);
    return tensor_multiply(tensor_clamp(left, 0, 1), tensor_greater(distance, tensor_scalar(s->graph, 0)));
}

/* The position kernel's bias by distance, for each pair. */
static tensor *with_positions(struct scope *s, tensor *scores, tensor *q, tensor *k, tensor *distance)
{
    struct scope *position = s->position_scope;
    if (!position || !position->kernel->bias)
        return scores;
    struct score_bias bias = position->kernel->bias(position, q, k, k->shape[1] - q->shape[1]);
    if (bias.distance) {
        int64_t last = tensor_length(bias.distance, -1) - 1;
        tensor *by_distance = bias.distance;
        if (by_distance->rank == 2)
            by_distance = tensor_reshape(by_distance, 4, SHAPE(1, by_distance->shape[0], 1, last + 1));
        scores = tensor_add(scores, tensor_gather(tensor_broadcast(by_distance, 4,
                                                                   SHAPE(scores->shape[0], scores->shape[1],
                                                                         scores->shape[2], last + 1)),
                                                  3, tensor_clamp(distance, 0, (double)last)));
    }
    return bias.full ? tensor_add(scores, bias.full) : scores;
}

/* Rows that x sees beside its own stand in `memory`, or NULL. */
static tensor *attend(struct scope *s, tensor *memory, tensor *x)
{
    int64_t heads = option(s, "heads"), d = head_dim(s), rows = x->shape[1];
    tensor *seen = memory ? tensor_concat(2, (tensor *[]){memory, x}, 1) : x;
    tensor *q = split_heads(linear(s, "proj_query", x, heads * d, false), heads);
    tensor *k = split_heads(linear(s, "proj_key", seen, heads * d, false), heads);
    tensor *v = split_heads(linear(s, "proj_val", seen, heads * d, false), heads);
    rotate_query_and_key(s, &q, &k);
    tensor *distance = distances(s->graph, rows, seen->shape[1]);
    tensor *kept = mask(s, seen, distance);
    tensor *scores = tensor_matmul_nt(tensor_transpose(q, 1, 2), tensor_transpose(k, 1, 2));
    scores = with_positions(s, tensor_scale(scores, 1 / sqrt((double)d)), q, k, distance);
    tensor *gone = tensor_full(s->graph, -INFINITY, 1, SHAPE(1));
    tensor *weights = tensor_softmax(tensor_where(kept, scores, gone), 3);
    weights = tensor_multiply(weights, kept);
    weights = tensor_divide(weights, tensor_affine(tensor_sum(weights, 3), 1, 1e-8));
    tensor *y = tensor_transpose(tensor_matmul(weights, tensor_transpose(v, 1, 2)), 1, 2);
    return linear(s, "proj_out", merge_heads(tensor_contiguous(y)), s->width, false);
}

/* Rows that are never seen later than this. */
static int64_t reach(const struct scope *s)
{
    return (int64_t)ceil(option_real(s, "span") + option_real(s, "ramp"));
}

static tensor *segment(struct scope *s, tensor *x)
{
    tensor *memory = carried(s, "rows");
    carry(s, "rows", newest_rows(memory, x, reach(s)));
    return attend(s, memory, x);
}

static tensor *forward(struct scope *s, tensor *x)
{
    return s->carried ? attend(s, s->memory, x) : by_segments(s, x, reach(s), segment);
}

KERNEL(expiring_attention) = {
    .name = "expiring-attention",
    .slot = SLOT_MIXER,
    .variant = "expire-span",
    .summary = "each row says how long it is remembered, and fades at the end of its time",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "query heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       REAL_OPTION("span", 256, 1, 1e9, "longest time that a row is remembered"),
                       REAL_OPTION("ramp", 32, 1e-3, 1e9, "tokens over which it fades"),
                       REAL_OPTION("divisor", 1, 1e-6, 1e6, "of a row before its span is predicted")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "content"}, {"state", "segments"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate_heads,
    .forward = forward,
    .step = forward,
};
