/* Simple hierarchical transformer (lucidrains/simple-hierarchical-transformer HierarchicalTransformer):
 * levels of the sequence, compressed by c = 1, 4, .. tokens at strides st, run side by side and are merged
 * after every layer.
 *
 *     z_l = norm(x) for c = 1, else norm(W silu(causal convolution of x over c tokens, every st-th))
 *     z_l += attention(shift(z_l)),  z_l += W2 gelu(W1 rms(shift(z_l)))
 *         shift: half of the channels come from the row before
 *     z += W' silu(W rms(all levels side by side, rows repeated st times))
 *         at the least compressed level, or at all (merge_all)
 *
 * A level attends among rows t of the same t mod c / st, as they share no token, with xPos' rotations. y =
 * norm of the least compressed level. RMS norms have no epsilon but 1e-12 for the length. */
#include "block/kernel.h"
#include <math.h>

static int64_t stride_of(const struct scope *s, int level)
{
    int count;
    const double *strides = option_list(s, "strides", &count);
    return (int64_t)strides[count == 1 ? 0 : level];
}

static int level_count(const struct scope *s)
{
    int count;
    option_list(s, "hierarchies", &count);
    return count;
}

static int64_t compression(const struct scope *s, int level)
{
    int count;
    return (int64_t)option_list(s, "hierarchies", &count)[level];
}

static int least_compressed(const struct scope *s)
{
    int least = 0;
    for (int level = 1; level < level_count(s); level++)
        least = compression(s, level) < compression(s, least) ? level : least;
    return least;
}

static tensor *unit_norm(struct scope *s, const char *name, tensor *x)
{
    int64_t D = x->shape[2];
    tensor *gamma = parameter(s, part_name(s, "%s.gamma", name), init_constant(1), 1, SHAPE(D));
    return tensor_multiply(tensor_scale(tensor_l2_norm_max(x, 1e-12), sqrt((double)D)), gamma);
}

/* x [B, T, D] by a causal convolution over c tokens at every stride-th, then a map:
 * [B, (T - 1) / stride + 1, D]. */
static tensor *compress(struct scope *s, int level, tensor *x)
{
    int64_t B = x->shape[0], D = x->shape[2], c = compression(s, level);
    const char *name = part_name(s, "compressors.%d.compress_fn", level);
    tensor *w = parameter(s, part_name(s, "%s.1.conv.weight", name), init_linear(), 3, SHAPE(4 * D, D, c));
    tensor *b = parameter(s, part_name(s, "%s.1.conv.bias", name), init_constant(0), 1, SHAPE(4 * D));
    tensor *seen = tensor_windows(tensor_pad(x, 1, c - 1, 0, 0), 1, c, stride_of(s, level));
    seen = tensor_reshape(tensor_transpose(seen, 2, 3), 3, SHAPE(B, seen->shape[1], D * c));
    x = tensor_silu(tensor_linear(seen, tensor_reshape(w, 2, SHAPE(4 * D, D * c)), b));
    w = parameter(s, part_name(s, "%s.3.weight", name), init_linear(), 3, SHAPE(D, 4 * D, 1));
    b = parameter(s, part_name(s, "%s.3.bias", name), init_constant(0), 1, SHAPE(D));
    return tensor_linear(x, tensor_reshape(w, 2, SHAPE(D, 4 * D)), b);
}

static void fill_zeta(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)s, (void)rank;
    double d = 2 * (double)shape[0];
    for (int64_t i = 0; i < shape[0]; i++)
        values[i] = (real)((2 * (double)i + 0.4 * d) / (1.4 * d));
}

/* x [B, n, H, d] turned, and multiplied by zeta^(sign (t - n / 2) / 512). */
static tensor *turned(struct scope *s, const char *name, tensor *x, double sign)
{
    int64_t n = x->shape[1], pairs = x->shape[3] / 2;
    tensor *rates =
        buffer(s, part_name(s, "%s.inv_freq", name), init_function(fill_rotary_frequencies), 1, SHAPE(pairs));
    tensor *zeta = buffer(s, part_name(s, "%s.scale", name), init_function(fill_zeta), 1, SHAPE(pairs));
    tensor *places = tensor_reshape(tensor_range(s->graph, 0, n, 1), 2, SHAPE(n, 1));
    tensor *powers = tensor_affine(places, sign / 512, -sign * (double)(n / 2) / 512);
    powers = tensor_exp(tensor_multiply(powers, tensor_log(zeta)));
    powers = tensor_reshape(tensor_concat(2, (tensor *[]){powers, powers}, 1), 3, SHAPE(n, 1, 2 * pairs));
    return tensor_multiply(tensor_rotary(x, tensor_multiply(places, rates), false), powers);
}

static tensor *shifted(tensor *x)
{
    int64_t D = x->shape[2], own = (D + 1) / 2;
    return tensor_concat(
        2, (tensor *[]){tensor_slice(x, 2, 0, own), tensor_shift(tensor_slice(x, 2, own, D - own), 1, 1)}, 2);
}

static tensor *attend(struct scope *s, const char *name, tensor *x)
{
    int64_t heads = option(s, "heads"), inner = heads * head_dim(s);
    tensor *qkv = linear(s, part_name(s, "%s.to_qkv", name), unit_norm(s, part_name(s, "%s.norm", name), x),
                         3 * inner, false);
    const char *rotary = part_name(s, "%s.rotary_emb", name);
    tensor *q = turned(s, rotary, split_heads(tensor_slice(qkv, 2, 0, inner), heads), 1);
    tensor *k = turned(s, rotary, split_heads(tensor_slice(qkv, 2, inner, inner), heads), -1);
    tensor *v = split_heads(tensor_slice(qkv, 2, 2 * inner, inner), heads);
    tensor *y = tensor_attention(q, k, v, &(struct attention_options){.causal = true});
    return linear(s, part_name(s, "%s.to_out", name), merge_heads(y), x->shape[2], false);
}

/* One layer of one level, over each class of rows as a sequence of its own. */
static tensor *level_layer(struct scope *s, const char *name, tensor *z, int64_t classes)
{
    int64_t B = z->shape[0], n = z->shape[1], D = z->shape[2], rows = (n + classes - 1) / classes;
    z = tensor_reshape(tensor_pad(z, 1, 0, rows * classes - n, 0), 4, SHAPE(B, rows, classes, D));
    z = tensor_reshape(tensor_transpose(z, 1, 2), 3, SHAPE(B * classes, rows, D));
    z = tensor_add(z, attend(s, part_name(s, "%s.attn", name), shifted(z)));
    tensor *hidden = unit_norm(s, part_name(s, "%s.ff.net.0", name), shifted(z));
    hidden = tensor_gelu(linear(s, part_name(s, "%s.ff.net.1", name), hidden, 4 * D, false));
    z = tensor_add(z, linear(s, part_name(s, "%s.ff.net.3", name), hidden, D, false));
    z = tensor_transpose(tensor_reshape(z, 4, SHAPE(B, classes, rows, D)), 1, 2);
    return tensor_slice(tensor_reshape(z, 3, SHAPE(B, rows * classes, D)), 1, 0, n);
}

static void merge(struct scope *s, int64_t layer, tensor **levels)
{
    int count = level_count(s), least = least_compressed(s);
    int64_t D = s->width, shortest = INT64_MAX;
    bool all = option(s, "merge_all");
    tensor *rows[OPTION_LIST_MAXIMUM];
    for (int level = 0; level < count; level++) {
        rows[level] = tensor_repeat_interleave(levels[level], 1, stride_of(s, level));
        shortest = rows[level]->shape[1] < shortest ? rows[level]->shape[1] : shortest;
    }
    for (int level = 0; level < count; level++)
        rows[level] = tensor_slice(rows[level], 1, 0, shortest);
    const char *name = part_name(s, "hierarchical_merges.%lld.net", (long long)layer);
    tensor *merged = unit_norm(s, part_name(s, "%s.0", name), tensor_concat(count, rows, 2));
    int64_t outputs = all ? count * D : D;
    merged = tensor_silu(linear(s, part_name(s, "%s.1", name), merged, 2 * outputs, true));
    merged = linear(s, part_name(s, "%s.3", name), merged, outputs, true);
    for (int level = 0; level < count; level++) {
        if (!all && level != least)
            continue;
        tensor *part = tensor_slice(merged, 2, all ? level * D : 0, D);
        part = tensor_slice_step(part, 1, 0, levels[level]->shape[1], stride_of(s, level));
        levels[level] = tensor_add(levels[level], part);
    }
}

static tensor *forward(struct scope *s, tensor *x)
{
    int count = level_count(s), least = least_compressed(s);
    tensor *levels[OPTION_LIST_MAXIMUM];
    for (int level = 0; level < count; level++) {
        tensor *z = compression(s, level) > 1 ? compress(s, level, x) : x;
        levels[level] = layer_norm(s, part_name(s, "post_token_emb_norms.%d", level), z, 1e-5);
    }
    for (int64_t layer = 0; layer < option(s, "depth"); layer++) {
        for (int level = 0; level < count; level++)
            levels[level] = level_layer(s, part_name(s, "layers.%lld.%d", (long long)layer, level),
                                        levels[level], compression(s, level) / stride_of(s, level));
        merge(s, layer, levels);
    }
    return layer_norm(s, part_name(s, "norms.%d", least), levels[least], 1e-5);
}

static const char *validate(const struct scope *s)
{
    int strides;
    option_list(s, "strides", &strides);
    if (level_count(s) < 1)
        return "hierarchies needs at least one compression";
    if (strides != 1 && strides != level_count(s))
        return "strides is one number, or one for each of hierarchies";
    for (int level = 0; level < level_count(s); level++)
        if (compression(s, level) % stride_of(s, level))
            return "a level's compression is divisible by its stride";
    if (stride_of(s, least_compressed(s)) != 1)
        return "the least compressed level has the stride 1";
    return validate_heads(s) ? validate_heads(s)
           : head_dim(s) % 2 ? "a head needs an even number of channels to turn"
                             : NULL;
}

KERNEL(parallel_hierarchy) = {
    .name = "parallel-hierarchy",
    .slot = SLOT_MIXER,
    .variant = "simple-hierarchical",
    .summary = "compressed copies of the sequence run side by side and are merged after every layer",
    .options =
        OPTIONS(LIST_OPTION("hierarchies", "1,4", 1, 65536, "tokens that each level compresses into a row"),
                LIST_OPTION("strides", "1", 1, 65536, "tokens from row to row, of all levels or each"),
                INTEGER_OPTION("depth", 1, 1, 1024, "layers"), INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                FLAG_OPTION("merge_all", 0, "merging adds to every level, not the least compressed alone")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "strided"}, {"state", "cache"}, {"position", "rotary"},
                             {"ffn", "mlp"}, {"norm", "rms"}, {"residual", "add"}, {"time", "quadratic"},
                             {"decode-cost", "replay"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
};
