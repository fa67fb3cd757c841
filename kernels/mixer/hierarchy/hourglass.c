/* Hourglass transformer (hourglass, section 2, algorithm 1; lucidrains/hourglass-transformer-pytorch
 * HourglassTransformer): layers at full length around layers at a length that is `shorten` = c times less,
 * and so on inside.
 *
 *     H(x) = post(unshorten(valley(shorten(pre(x)))) + pre(x))        valley: layers, or another H
 *
 * A group of c rows becomes their mean, or a linear map of them; and a row becomes c copies, or a linear map.
 * For a causal model rows move c - 1 later first, so that a group is made of no later ones. With
 * attn_resampling a layer follows either: each short row attends to its group, and each long row to its short
 * one. Layers are x += attention(norm(x)), x += W2 gelu(W1 norm(x)); contexts are not normalised. `depths`
 * counts the layers: of pre, of the valley and of post; five numbers and more for hourglasses inside. */
#include "inner-layers.h"

static tensor *layers(struct scope *s, const char *name, tensor *x, tensor *context, int64_t depth,
                      bool causal)
{
    struct inner_heads heads = {option(s, "heads"), head_dim(s), causal};
    for (int64_t i = 0; i < depth; i++) {
        const char *layer = part_name(s, "%s.layers.%lld", name, (long long)i);
        x = inner_attention_layer(s, part_name(s, "%s.0", layer), x, context, heads);
        tensor *n = layer_norm(s, part_name(s, "%s.1.norm", layer), x, 1e-5);
        n = tensor_gelu(linear(s, part_name(s, "%s.1.fn.0", layer), n, 4 * s->width, true));
        x = tensor_add(x, linear(s, part_name(s, "%s.1.fn.3", layer), n, s->width, true));
    }
    return x;
}

/* Rows x [B, n c, D] as groups [B n, c, D]. */
static tensor *groups(tensor *x, int64_t c)
{
    return tensor_reshape(x, 3, SHAPE(x->shape[0] * x->shape[1] / c, c, x->shape[2]));
}

/* One hourglass, whose weights have `prefix` before their names. */
static tensor *hourglass(struct scope *s, const char *prefix, tensor *x, const double *depths, int count)
{
    int64_t B = x->shape[0], T = x->shape[1], D = s->width, c = option(s, "shorten");
    bool causal = option(s, "causal"), by_map = option_is(s, "resampling", "linear"),
         attends = option(s, "attn_resampling");
    x = layers(s, part_name(s, "%spre_transformer", prefix), x, NULL, (int64_t)depths[0], causal);
    x = tensor_pad(x, 1, 0, (c - T % c) % c, 0);
    tensor *long_rows = groups(causal ? tensor_shift(x, 1, c - 1) : x, c), *z;
    if (by_map)
        z = linear(s, part_name(s, "%sdownsample.proj", prefix),
                   tensor_reshape(long_rows, 3, SHAPE(B, -1, c * D)), D, true);
    else
        z = tensor_reshape(tensor_mean(long_rows, 1), 3, SHAPE(B, -1, D));
    if (attends)
        z = layers(s, part_name(s, "%sattn_resampling_pre_valley", prefix), groups(z, 1), long_rows, 1,
                   false);
    z = tensor_reshape(z, 3, SHAPE(B, -1, D));
    if (count == 3)
        z = layers(s, part_name(s, "%svalley_transformer", prefix), z, NULL, (int64_t)depths[1], causal);
    else
        z = hourglass(s, part_name(s, "%svalley_transformer.", prefix), z, depths + 1, count - 2);
    tensor *copies = by_map ? linear(s, part_name(s, "%supsample.proj", prefix), z, c * D, true)
                            : tensor_repeat_interleave(z, 1, c);
    x = tensor_add(x, tensor_reshape(copies, 3, x->shape));
    if (attends)
        x = layers(s, part_name(s, "%sattn_resampling_post_valley", prefix), groups(x, c), groups(z, 1), 1,
                   false);
    x = tensor_slice(tensor_reshape(x, 3, SHAPE(B, -1, D)), 1, 0, T);
    return layers(s, part_name(s, "%spost_transformer", prefix), x, NULL, (int64_t)depths[count - 1], causal);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int count;
    const double *depths = option_list(s, "depths", &count);
    x = hourglass(s, "", x, depths, count);
    return option(s, "norm_out") ? layer_norm(s, "norm_out", x, 1e-5) : x;
}

static const char *validate(const struct scope *s)
{
    int count;
    option_list(s, "depths", &count);
    if (count < 3 || count % 2 == 0)
        return "depths are 3 numbers, or 5 and more for hourglasses inside: an odd number";
    return validate_heads(s);
}

KERNEL(hourglass) = {
    .name = "hourglass",
    .slot = SLOT_MIXER,
    .variant = "hourglass",
    .summary = "layers at full length around layers over shortened groups of tokens",
    .options = OPTIONS(LIST_OPTION("depths", "1,1,1", 0, 1024, "layers before, in and after the valley"),
                       INTEGER_OPTION("shorten", 2, 1, 65536, "rows that become one in the valley"),
                       CHOICE_OPTION("resampling", "naive|linear", "means and copies, or linear maps"),
                       FLAG_OPTION("attn_resampling", 1, "resampled rows attend to those they come from"),
                       INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       FLAG_OPTION("norm_out", 0, "a layer norm stands at the end"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "cache"}, {"ffn", "mlp"}, {"norm", "layer"},
                             {"residual", "add"}, {"time", "quadratic"}, {"decode-cost", "replay"},
                             {"causality", "causal"}),
    .character = causality_by_option,
    .validate = validate,
    .forward = forward,
};
