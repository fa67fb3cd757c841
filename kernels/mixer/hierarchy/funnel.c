/* Funnel-Transformer's encoder (funnel-transformer, section 2.2 and appendix A; laiguokun/Funnel-Transformer
 * FunnelTFM): blocks of one layer, each of which after the first halves the sequence by pooling what asks,
 * while keys and values are the whole one.
 *
 *     score_ij = ((q_i + u) . k_j + sum_c ((q_i + v) . Wr_c) R(p_i - p_j)_c
 *                 + (q_i + w) . E[same_ij]) / sqrt(d)
 *         R(n) = (sin n f, cos n f)
 *     h = norm(h' + attention(h', h)),   h = norm(h + W2 gelu(W1 h));
 *         f_m = 10000^(-2 m / D), norms' epsilon 1e-9
 *
 * h' = h pooled over windows of `stride`, the last of which may be short. With separate_cls the first token
 * is pooled alone: the windows run over h_0, h_0, h_1, .. (`truncate`: without the last), and pairs with it
 * have neither the second nor the third term. Places p and segments of pooled tokens are those of their
 * windows' first. The third term needs segments, the further input "segments" [B, T]; segment 2, that of the
 * first token, is the same as all. R's addition theorem makes the second term a product of channels beside
 * those of q and k. Weights are stored input first. */
#include "pooled-sequence.h"
#include <math.h>

/* x [B, T, D] by NAME.weight [D, H, d] and NAME.bias [H, d]: [B, T, H, d]. */
static tensor *project(struct scope *s, const char *name, tensor *x, bool bias)
{
    int64_t heads = option(s, "heads"), d = head_dim(s), D = s->width;
    tensor *w = parameter(s, part_name(s, "%s.weight", name), init_normal(1 / sqrt((double)D)), 3,
                          SHAPE(D, heads, d));
    x = split_heads(tensor_matmul(x, tensor_reshape(w, 2, SHAPE(D, heads * d))), heads);
    return bias ? tensor_add(
                      x, parameter(s, part_name(s, "%s.bias", name), init_constant(0), 2, SHAPE(heads, d)))
                : x;
}

/* 0 for the first of `count` tokens and 1 for others, or 1 for all: [count, 1]. */
static tensor *others(struct scope *s, int64_t count)
{
    tensor *ones = tensor_full(s->graph, 1, 2, SHAPE(option(s, "separate_cls") ? count - 1 : count, 1));
    return tensor_pad(ones, 0, count - ones->shape[0], 0, 0);
}

/* sin and cos of the places' angles, [T, 1, D / 2], zero for a first token that stands apart. */
static void waves(struct scope *s, tensor *places, tensor **sine, tensor **cosine)
{
    int64_t half = s->width / 2, T = places->shape[0];
    tensor *f = tensor_constant(s->graph, NULL, 1, SHAPE(half));
    for (int64_t m = 0; m < half; m++)
        f->data[m] = (real)pow(10000, -(double)m / (double)half);
    tensor *angles = tensor_multiply(tensor_reshape(places, 2, SHAPE(T, 1)), f);
    *sine = tensor_reshape(tensor_multiply(tensor_sin(angles), others(s, T)), 3, SHAPE(T, 1, half));
    *cosine = tensor_reshape(tensor_multiply(tensor_cos(angles), others(s, T)), 3, SHAPE(T, 1, half));
}

/* q + its bias NAME of layer i. */
static tensor *biased(struct scope *s, int64_t layer, const char *name, tensor *q)
{
    const char *full = part_name(s, "attn_layers.%lld.%s", (long long)layer, name);
    return tensor_add(q, parameter(s, full, init_normal(0.02), 2, SHAPE(q->shape[2], q->shape[3])));
}

/* q and k with the channels whose product is the term of relative positions. */
static void add_positions(struct scope *s, int64_t layer, tensor *places, tensor *key_places, tensor *content,
                          tensor **q, tensor **k)
{
    int64_t heads = option(s, "heads"), half = s->width / 2, D = s->width;
    const char *name = part_name(s, "attn_layers.%lld.r_kernel", (long long)layer);
    tensor *r = parameter(s, name, init_normal(1 / sqrt((double)D)), 3, SHAPE(D, heads, (*q)->shape[3]));
    tensor *u =
        per_head_product(biased(s, layer, "r_r_bias", *q), tensor_permute(r, (const int[]){1, 2, 0}), false);
    tensor *u_sine = tensor_slice(u, 3, 0, half), *u_cosine = tensor_slice(u, 3, half, half), *sine, *cosine;
    waves(s, places, &sine, &cosine);
    tensor *by_cosine = tensor_add(tensor_multiply(u_sine, sine), tensor_multiply(u_cosine, cosine));
    tensor *by_sine = tensor_subtract(tensor_multiply(u_cosine, sine), tensor_multiply(u_sine, cosine));
    *q = tensor_concat(3, (tensor *[]){content, by_cosine, by_sine}, 3);
    waves(s, key_places, &sine, &cosine);
    tensor *beside = tensor_concat(2, (tensor *[]){cosine, sine}, 2);
    beside = tensor_broadcast(beside, 4, SHAPE((*k)->shape[0], (*k)->shape[1], heads, 2 * half));
    *k = tensor_concat(2, (tensor *[]){*k, beside}, 3);
}

/* The term of segments [B, H, T, S], or NULL. */
static tensor *segment_scores(struct scope *s, int64_t layer, tensor *q, tensor *segments,
                              tensor *key_segments)
{
    int64_t B = q->shape[0], T = q->shape[1], heads = q->shape[2], d = q->shape[3];
    const char *name = part_name(s, "attn_layers.%lld.seg_embed", (long long)layer);
    tensor *e = parameter(s, name, init_normal(0.02), 3, SHAPE(2, heads, d));
    tensor *by_kind =
        per_head_product(biased(s, layer, "r_s_bias", q), tensor_permute(e, (const int[]){1, 2, 0}), false);
    if (!segments)
        return NULL;
    int64_t S = key_segments->shape[1];
    tensor *own = tensor_reshape(segments, 4, SHAPE(B, 1, T, 1)),
           *other = tensor_reshape(key_segments, 4, SHAPE(B, 1, 1, S));
    tensor *cls = tensor_scalar(s->graph, 2),
           *same = tensor_maximum(tensor_equal(own, cls), tensor_equal(other, cls));
    same = tensor_maximum(same, tensor_equal(own, other));
    by_kind = tensor_transpose(by_kind, 1, 2);
    tensor *scores = tensor_where(same, tensor_slice(by_kind, 3, 1, 1), tensor_slice(by_kind, 3, 0, 1));
    tensor *counted = tensor_multiply(others(s, T), tensor_transpose(others(s, S), 0, 1));
    return tensor_scale(tensor_multiply(scores, counted), 1 / sqrt((double)d));
}

static tensor *attend(struct scope *s, int64_t layer, struct sequence of, struct sequence over)
{
    int64_t heads = option(s, "heads"), d = head_dim(s);
    const char *name = part_name(s, "attn_layers.%lld", (long long)layer);
    tensor *q = project(s, part_name(s, "%s.q_head", name), of.rows, false);
    tensor *k = project(s, part_name(s, "%s.k_head", name), over.rows, true);
    tensor *v = project(s, part_name(s, "%s.v_head", name), over.rows, true);
    struct attention_options options = {.scale = 1 / sqrt((double)d)};
    options.bias = segment_scores(s, layer, q, of.segments, over.segments);
    add_positions(s, layer, of.places, over.places, biased(s, layer, "r_w_bias", q), &q, &k);
    tensor *w = parameter(s, part_name(s, "%s.post_proj.weight", name),
                          init_normal(1 / sqrt((double)(heads * d))), 3, SHAPE(heads, d, s->width));
    tensor *y = tensor_matmul(merge_heads(tensor_attention(q, k, v, &options)),
                              tensor_reshape(w, 2, SHAPE(heads * d, s->width)));
    y = tensor_add(
        y, parameter(s, part_name(s, "%s.post_proj.bias", name), init_constant(0), 1, SHAPE(s->width)));
    return layer_norm(s, part_name(s, "%s.layer_norm", name), tensor_add(of.rows, y), 1e-9);
}

/* x W + b with weights stored input first. */
static tensor *input_first(struct scope *s, const char *name, tensor *x, int64_t outputs)
{
    int64_t inputs = x->shape[2];
    tensor *w = parameter(s, part_name(s, "%s.weight", name), init_normal(1 / sqrt((double)inputs)), 2,
                          SHAPE(inputs, outputs));
    return tensor_add(tensor_matmul(x, w),
                      parameter(s, part_name(s, "%s.bias", name), init_constant(0), 1, SHAPE(outputs)));
}

static tensor *forward(struct scope *s, tensor *x)
{
    struct sequence h = {x, tensor_range(s->graph, 0, x->shape[1], 1), further_input(s, "segments")};
    for (int64_t block = 0; block < option(s, "blocks"); block++) {
        struct sequence whole = h;
        h = block ? pooled(s, h) : h;
        h.rows = attend(s, block, h, option(s, "pool_query_only") ? whole : h);
        const char *name = part_name(s, "pffn_layers.%lld", (long long)block);
        tensor *n = tensor_gelu_tanh(
            input_first(s, part_name(s, "%s.pffn.0", name), h.rows, option_or(s, "hidden", 4 * s->width)));
        n = tensor_add(h.rows, input_first(s, part_name(s, "%s.pffn.3", name), n, s->width));
        h.rows = layer_norm(s, part_name(s, "%s.layer_norm", name), n, 1e-9);
    }
    return h.rows;
}

static const char *validate(const struct scope *s)
{
    return s->width % 2 ? "the width must be even" : validate_heads(s);
}

KERNEL(funnel) = {
    .name = "funnel",
    .slot = SLOT_MIXER,
    .variant = "funnel-transformer",
    .summary =
        "blocks of layers, each over half as many tokens, whose first queries are pooled and keys are not",
    .options =
        OPTIONS(INTEGER_OPTION("blocks", 2, 1, 64, "blocks, of one layer each; all but the first pool"),
                INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                INTEGER_OPTION("hidden", 0, 0, 1 << 20, "inner width of the networks; 0: 4 times the width"),
                INTEGER_OPTION("stride", 2, 1, 65536, "tokens that become one"),
                CHOICE_OPTION("pooling", "mean|max", "of a window"),
                FLAG_OPTION("separate_cls", 1, "the first token stands apart"),
                FLAG_OPTION("truncate", 1, "the last token is then left out of the windows"),
                FLAG_OPTION("pool_query_only", 1, "keys and values of a block's first layer are not pooled")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "none"}, {"position", "relative"},
                             {"ffn", "mlp"}, {"norm", "layer"}, {"residual", "add"}, {"time", "quadratic"},
                             {"causality", "bidirectional"}),
    .validate = validate,
    .forward = forward,
};
