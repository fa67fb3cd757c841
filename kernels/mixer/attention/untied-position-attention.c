/* TUPE (tupe; guolinke/TUPE TransformerSentenceEncoder and MultiheadAttention): scores of contents and of
 * positions have projections of their own and are summed,
 *
 *     (q_i . k_j + u_i+1 . v_j+1) / sqrt(f d) + b[bucket(j - i)],    u, v = P Uq^T, P Uk^T,
 *         P = LayerNorm(pos.weight)
 *
 * f = scale_factor. Token 0 is [CLS], which is no place in a sentence: where the query is token 0 the product
 * of positions is u_0 . v_0, where only the key is, u_1 . v_1. All but the content is one for all layers.
 * With buckets > 0 T5's bias for both directions is added, [CLS] having buckets of its own, as row and as
 * column. */
#include "block/kernel.h"
#include <math.h>

/* x W^T + b with shared parameters NAME.weight and NAME.bias, in heads: [H, T + 1, d]. */
static tensor *project(struct scope *s, const char *name, tensor *x)
{
    int64_t heads = option(s, "heads");
    tensor *weight =
        shared_parameter(s, part_name(s, "%s.weight", name), init_linear(), 2, SHAPE(s->width, s->width));
    tensor *shift = shared_parameter(s, part_name(s, "%s.bias", name), init_constant(0), 1, SHAPE(s->width));
    tensor *y = tensor_linear(x, weight, shift);
    return tensor_transpose(tensor_reshape(y, 3, SHAPE(x->shape[0], heads, s->width / heads)), 0, 1);
}

/* bias [H, T, T] with other numbers [H, 1, 1] where the query or else the key is token 0. */
static tensor *untie_first(tensor *bias, tensor *of_query, tensor *of_key)
{
    int64_t length = bias->shape[1];
    tensor *row = tensor_constant(bias->graph, NULL, 2, SHAPE(length, 1));
    tensor *column = tensor_constant(bias->graph, NULL, 2, SHAPE(1, length));
    row->data[0] = column->data[0] = 1;
    return tensor_where(row, of_query, tensor_where(column, of_key, bias));
}

static tensor *entry(tensor *scores, int64_t place)
{
    return tensor_slice(tensor_slice(scores, 1, place, 1), 2, place, 1);
}

static tensor *position_scores(struct scope *s, int64_t length, double scale)
{
    int64_t rows = option(s, "length") + 1;
    if (length >= rows)
        kernel_fail(s, "%lld tokens are more than the %lld that have a position (option length)",
                    (long long)length, (long long)rows - 1);
    tensor *table = shared_parameter(s, "pos.weight", init_normal(0.02), 2, SHAPE(rows, s->width));
    tensor *p =
        tensor_layer_norm(tensor_slice(table, 0, 0, length + 1),
                          shared_parameter(s, "pos_ln.weight", init_constant(1), 1, SHAPE(s->width)),
                          shared_parameter(s, "pos_ln.bias", init_constant(0), 1, SHAPE(s->width)), 1e-5);
    tensor *scores = tensor_matmul_nt(project(s, "pos_q_linear", p), project(s, "pos_k_linear", p));
    scores = tensor_scale(scores, scale);
    tensor *inner = tensor_slice(tensor_slice(scores, 1, 1, length), 2, 1, length);
    return untie_first(inner, entry(scores, 0), entry(scores, 1));
}

/* T5's bias, its last row for the key [CLS], the first of the second half for the query [CLS]. */
static tensor *bucket_scores(struct scope *s, int64_t length)
{
    int64_t heads = option(s, "heads"), buckets = option(s, "buckets");
    tensor *table = shared_parameter(s, "relative_attention_bias.weight", init_normal(0.02), 2,
                                     SHAPE(buckets + 1, heads));
    tensor *bias = bucketed_bias(table, option(s, "max_distance"), false, length, length);
    tensor *of_query = tensor_reshape(tensor_slice(table, 0, buckets / 2, 1), 3, SHAPE(heads, 1, 1));
    return untie_first(bias, of_query,
                       tensor_reshape(tensor_slice(table, 0, buckets, 1), 3, SHAPE(heads, 1, 1)));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), width = s->width, length = x->shape[1];
    double scale = 1 / sqrt(option_real(s, "scale_factor") * (double)(width / heads));
    tensor *qkv = tensor_linear(x, parameter(s, "in_proj_weight", init_linear(), 2, SHAPE(3 * width, width)),
                                parameter(s, "in_proj_bias", init_constant(0), 1, SHAPE(3 * width)));
    tensor *parts[3];
    for (int i = 0; i < 3; i++)
        parts[i] = split_heads(tensor_slice(qkv, 2, i * width, width), heads);
    struct attention_options options = {.scale = scale, .bias = position_scores(s, length, scale)};
    if (option(s, "buckets"))
        options.bias = tensor_add(options.bias, bucket_scores(s, length));
    tensor *y = tensor_attention(parts[0], parts[1], parts[2], &options);
    return linear(s, "out_proj", merge_heads(y), width, true);
}

static const char *validate(const struct scope *s)
{
    int64_t buckets = option(s, "buckets");
    if (buckets % 2 || buckets == 2)
        return "buckets is 0 or an even number from 4 on";
    if (buckets && option(s, "max_distance") <= buckets / 4)
        return "max_distance is within the distances that have a bucket each";
    return validate_heads(s);
}

KERNEL(untied_position_attention) = {
    .name = "untied-position-attention",
    .slot = SLOT_MIXER,
    .variant = "tupe",
    .summary = "scores of contents and of positions from projections of their own, [CLS] apart",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("length", 512, 1, 1 << 24, "tokens that have a position"),
                       REAL_OPTION("scale_factor", 2, 1e-6, 1e6,
                                   "scores are divided by its root times sqrt(d)"),
                       INTEGER_OPTION("buckets", 0, 0, 1 << 20, "of relative distances, both ways; 0: none"),
                       INTEGER_OPTION("max_distance", 128, 1, 1 << 30, "from which they share the last")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"position", "absolute"}, {"time", "quadratic"},
                             {"causality", "bidirectional"}),
    .validate = validate,
    .forward = forward,
};
