/* A Conformer layer (conformer; ESPnet's and WeNet's names): attention and a gated depthwise convolution
 * between two feed-forward networks that count half.
 *
 *     h += FF(LN(h)) / 2,   FF(u) = W2 silu(W1 u)
 *     h += attention(LN(h)) by distances of both signs (signed-distance-bias.h)
 *     h += P2 silu(norm(conv(glu(P1 LN(h)))))
 *         conv depthwise, centred, zeros outside; norm over the batch, as in evaluation, or a layer's
 *     h = LN(h + FF(LN(h)) / 2)
 *
 * In ChunkFormer (chunkformer-speech; model/encoder.py forward_parallel_chunk) frames see their own chunk of
 * `segment` frames with `left` frames before and `right` frames after it, the same for all frames of a chunk;
 * the convolution ends with the frames seen but is not cut to the left. With `ends` h before the first layer
 * is x sqrt(D), and a norm of its own follows the last one. */
#include "query-blocks.h"
#include "signed-distance-bias.h"
#include <string.h>

static const double epsilon = 1e-5; /* of norms, as published */

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Frames of a chunk: all of them where there are no chunks. */
static int64_t chunk(const struct scope *s, int64_t length)
{
    return option_or(s, "segment", length);
}

/* The frame after the last one that the chunk from `start` on sees. */
static int64_t seen_end(const struct scope *s, int64_t start, int64_t length)
{
    return smaller(start + chunk(s, length) + option(s, "right"), length);
}

static tensor *half_feed_forward(struct scope *s, const char *name, const char *norm, tensor *h)
{
    int64_t hidden = option_or(s, "hidden", 4 * s->width);
    tensor *u = layer_norm(s, norm, h, epsilon);
    u = tensor_silu(linear(s, part_name(s, "%s.w_1", name), u, hidden, true));
    return tensor_add(h, tensor_scale(linear(s, part_name(s, "%s.w_2", name), u, s->width, true), 0.5));
}

struct heads {
    struct scope *scope;
    tensor *content, *place, *k, *v; /* q + u, q + v, keys and values [B, T, H, d] */
    tensor *places;                  /* by distance from `furthest` down */
    int64_t furthest;
};

static tensor *attend_chunk(void *argument, int64_t start, int64_t rows)
{
    const struct heads *h = argument;
    int64_t left = option(h->scope, "left"), first = start > left ? start - left : 0;
    int64_t keys = seen_end(h->scope, start, h->k->shape[1]) - first, furthest = start + rows - 1 - first;
    tensor *places = tensor_slice(h->places, 1, h->furthest - furthest, rows - 1 + keys);
    struct attention_options options = {
        .bias = signed_distance_bias(tensor_slice(h->place, 1, start, rows), places)};
    return tensor_attention(tensor_slice(h->content, 1, start, rows), tensor_slice(h->k, 1, first, keys),
                            tensor_slice(h->v, 1, first, keys), &options);
}

static tensor *attention(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), length = x->shape[1], size = chunk(s, length);
    struct heads h = {.scope = s, .furthest = smaller(size - 1 + option(s, "left"), length - 1)};
    tensor *q = split_heads(linear(s, "self_attn.linear_q", x, s->width, true), heads);
    h.k = split_heads(linear(s, "self_attn.linear_k", x, s->width, true), heads);
    h.v = split_heads(linear(s, "self_attn.linear_v", x, s->width, true), heads);
    biased_queries(s, "self_attn", q, &h.content, &h.place);
    int64_t ahead = smaller(size - 1 + option(s, "right"), length - 1);
    h.places = signed_places(s, "self_attn", h.furthest, h.furthest + 1 + ahead, heads, s->width / heads);
    tensor *y = join_query_blocks(attend_chunk, &h, 0, length, size);
    return linear(s, "self_attn.linear_out", merge_heads(y), s->width, true);
}

struct taps {
    struct scope *scope;
    tensor *x, *weight, *bias;
};

static tensor *convolve_chunk(void *argument, int64_t start, int64_t rows)
{
    const struct taps *taps = argument;
    int64_t side = taps->weight->shape[1] / 2, first = start > side ? start - side : 0;
    int64_t end = smaller(seen_end(taps->scope, start, taps->x->shape[1]), start + rows + side);
    tensor *x = tensor_pad(tensor_slice(taps->x, 1, first, end - first), 1, side - (start - first),
                           start + rows + side - end, 0);
    return tensor_slice(tensor_causal_convolution(x, taps->weight, taps->bias, NULL), 1, 2 * side, rows);
}

static tensor *convolution(struct scope *s, tensor *x)
{
    int64_t width = s->width, conv = option(s, "conv");
    tensor *in =
        parameter(s, "conv_module.pointwise_conv1.weight", init_linear(), 3, SHAPE(2 * width, width, 1));
    tensor *in_bias = parameter(s, "conv_module.pointwise_conv1.bias", init_constant(0), 1, SHAPE(2 * width));
    tensor *taps = parameter(s, "conv_module.depthwise_conv.weight", init_linear(), 3, SHAPE(width, 1, conv));
    tensor *bias = parameter(s, "conv_module.depthwise_conv.bias", init_constant(0), 1, SHAPE(width));
    tensor *out =
        parameter(s, "conv_module.pointwise_conv2.weight", init_linear(), 3, SHAPE(width, width, 1));
    tensor *out_bias = parameter(s, "conv_module.pointwise_conv2.bias", init_constant(0), 1, SHAPE(width));
    tensor *u = tensor_linear(x, tensor_reshape(in, 2, SHAPE(2 * width, width)), in_bias);
    u = tensor_multiply(tensor_slice(u, 2, 0, width), tensor_sigmoid(tensor_slice(u, 2, width, width)));
    struct taps argument = {s, u, tensor_reshape(taps, 2, SHAPE(width, conv)), bias};
    u = join_query_blocks(convolve_chunk, &argument, 0, x->shape[1], chunk(s, x->shape[1]));
    bool batch = option_is(s, "conv_norm", "batch");
    u = (batch ? batch_norm : layer_norm)(s, "conv_module.norm", u, epsilon);
    return tensor_linear(tensor_silu(u), tensor_reshape(out, 2, SHAPE(width, width)), out_bias);
}

static tensor *forward(struct scope *s, tensor *x)
{
    bool ends = option(s, "ends");
    tensor *h = ends && s->layer == 0 ? tensor_scale(x, sqrt((double)s->width)) : x;
    h = half_feed_forward(s, "feed_forward_macaron", "norm_ff_macaron", h);
    h = tensor_add(h, attention(s, layer_norm(s, "norm_mha", h, epsilon)));
    h = tensor_add(h, convolution(s, layer_norm(s, "norm_conv", h, epsilon)));
    h = layer_norm(s, "norm_final", half_feed_forward(s, "feed_forward", "norm_ff", h), epsilon);
    if (!ends || s->layer < s->layers - 1)
        return h;
    tensor *weight = shared_parameter(s, "after_norm.weight", init_constant(1), 1, SHAPE(s->width));
    tensor *bias = shared_parameter(s, "after_norm.bias", init_constant(0), 1, SHAPE(s->width));
    return tensor_layer_norm(h, weight, bias, epsilon);
}

static const char *validate(const struct scope *s)
{
    return option(s, "conv") % 2 ? validate_heads(s) : "conv must be odd";
}

static const char *character(const struct scope *s, const char *name)
{
    if (option(s, "segment"))
        return NULL;
    return strcmp(name, "visibility") == 0 ? "all" : strcmp(name, "time") == 0 ? "quadratic" : NULL;
}

KERNEL(conformer_layer) = {
    .name = "conformer-layer",
    .slot = SLOT_MIXER,
    .variant = "conformer",
    .summary = "attention and a gated depthwise convolution between two half feed-forward networks",
    .options = OPTIONS(INTEGER_OPTION("heads", 4, 1, 1024, "heads"),
                       INTEGER_OPTION("hidden", 0, 0, 1 << 20, "of the feed-forward networks; 0: 4 * width"),
                       INTEGER_OPTION("conv", 15, 1, 1023, "taps of the convolution, odd"),
                       CHOICE_OPTION("conv_norm", "batch|layer", "after the convolution"),
                       INTEGER_OPTION("segment", 0, 0, 1 << 20, "frames of a chunk; 0: all are seen"),
                       INTEGER_OPTION("left", 128, 0, 1 << 20, "frames seen before the chunk"),
                       INTEGER_OPTION("right", 128, 0, 1 << 20, "frames seen after the chunk"),
                       FLAG_OPTION("ends", 0, "x is scaled at first, a norm follows the last layer")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "block"}, {"position", "relative"}, {"output-gate", "no"},
                             {"time", "linear"}, {"decode-cost", "replay"}, {"causality", "bidirectional"}),
    .character = character,
    .validate = validate,
    .forward = forward,
};
