/* Relative sinusoids with learned content and position biases (transformer-xl, section 3.3;
 * kimiyoung/transformer-xl RelPartialLearnableMultiHeadAttn):
 *
 *     score = ((q + u) . k + (q + v) . r(t - s)) / sqrt(d),
 *         r(n) = W_R (sin(n w), cos(n w)),  w_i = 10000^(-2i / D)
 *
 * u = r_w_bias, v = r_r_bias [H, d], shared by all layers unless `untied`. With `two_sided` there are
 * distances n < 0 of later keys too. `segments` adds (q + r_s_bias) . seg_embed[0] / sqrt(d) where query and
 * key belong to one segment of the input "segments" [B, T], and with seg_embed[1] where they do not; memory
 * rows are of segment 0 (xlnet). Without the input all are of one, which no softmax sees. What stands beside
 * q . k is a bias of the scores, [B, H, T, S]. */
#include "block/kernel.h"
#include <math.h>

static tensor *layer_bias(struct scope *s, const char *name, int64_t heads, int64_t d)
{
    const int64_t *shape = SHAPE(heads, d);
    return option(s, "untied") ? parameter(s, name, init_normal(0.02), 2, shape)
                               : shared_parameter(s, name, init_normal(0.02), 2, shape);
}

/* What pairs of different segments add to the scores over what those of one add: (q + r_s_bias) .
 * (seg_embed[1] - seg_embed[0]), [B, H, T, S], which is the same for the softmax; NULL if all are of one
 * segment. Queries are the last of `keys` tokens. */
static tensor *segment_scores(struct scope *s, tensor *q, int64_t keys)
{
    int64_t batch = q->shape[0], rows = q->shape[1], heads = q->shape[2], d = q->shape[3];
    tensor *bias = layer_bias(s, "r_s_bias", heads, d);
    tensor *embedding = parameter(s, "seg_embed", init_normal(0.02), 3, SHAPE(2, heads, d));
    tensor *segments = further_input(s, "segments");
    if (!segments)
        return NULL;
    if (segments->rank != 2 || segments->shape[0] != batch || segments->shape[1] != rows)
        kernel_fail(s, "segments are [B, T], a number for each of %lld tokens", (long long)rows);
    tensor *difference = tensor_subtract(tensor_slice(embedding, 0, 1, 1), tensor_slice(embedding, 0, 0, 1));
    tensor *apart = tensor_sum(tensor_multiply(tensor_add(q, bias), difference), 3); /* [B, T, H, 1] */
    tensor *of_query = tensor_reshape(segments, 4, SHAPE(batch, 1, rows, 1));
    tensor *of_key = tensor_reshape(segments, 4, SHAPE(batch, 1, 1, rows));
    if (keys > rows)
        of_key = tensor_pad(of_key, 3, keys - rows, 0, 0);
    return tensor_where(tensor_equal(of_query, of_key), tensor_scalar(s->graph, 0),
                        tensor_transpose(apart, 1, 2));
}

static struct score_bias bias(struct scope *s, tensor *q, tensor *k, int64_t offset)
{
    (void)offset;
    int64_t rows = q->shape[1], heads = q->shape[2], d = q->shape[3], keys = k->shape[1];
    int64_t count = option(s, "two_sided") ? keys + rows - 1 : keys;
    tensor *u = layer_bias(s, "r_w_bias", heads, d), *v = layer_bias(s, "r_r_bias", heads, d);
    struct sinusoids falling = {keys - 1, -1, option(s, "clamp"), 10000, true};
    tensor *r = linear(s, "r_net", sinusoids(s, count, falling), heads * d, false);
    r = tensor_transpose(tensor_reshape(r, 3, SHAPE(count, heads, d)), 0, 1);
    tensor *by_distance = tensor_matmul_nt(tensor_transpose(tensor_add(q, v), 1, 2), r);
    tensor *by_key = relative_shift(by_distance);
    if (count > keys)
        by_key = tensor_slice(by_key, 3, 0, keys);
    tensor *content = tensor_sum(tensor_multiply(k, u), 3); /* u . k: [B, S, H, 1] */
    content = tensor_permute(content, (const int[]){0, 2, 3, 1});
    tensor *full = tensor_add(by_key, content);
    tensor *segments = option(s, "segments") ? segment_scores(s, q, keys) : NULL;
    if (segments)
        full = tensor_add(full, segments);
    return (struct score_bias){.full = tensor_scale(full, 1 / sqrt((double)d))};
}

static const char *validate(const struct scope *s)
{
    return s->width % 2 ? "the width must be even" : NULL;
}

KERNEL(relative_sinusoidal) = {
    .name = "relative-sinusoidal",
    .slot = SLOT_POSITION,
    .variant = "transformer-xl",
    .summary = "sinusoids of the distance, projected, meet queries with learned biases",
    .options = OPTIONS(INTEGER_OPTION("clamp", 0, -1, 1 << 24,
                                      "distances beyond it count as it; 0 or -1: none"),
                       FLAG_OPTION("untied", 0, "the biases of layers differ"),
                       FLAG_OPTION("two_sided", 0, "later keys have distances of their own"),
                       FLAG_OPTION("segments", 0, "scores by whether tokens are of one segment")),
    .characters = CHARACTERS({"position", "relative"}),
    .validate = validate,
    .bias = bias,
};
