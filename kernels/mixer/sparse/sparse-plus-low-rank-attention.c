/* Scatterbrain with a local window (scatterbrain, section 4.2, algorithm 1; HazyResearch/fly
 * SBLocalAttention): the scores of a window are exact, all others are estimated by positive random features.
 *
 *     phi(z) = F^(-1/2) exp(-a |z|^2 / 2) (exp(sqrt(a) P z), exp(-sqrt(a) P z)),   a = 1 / sqrt(d)
 *     A_ij = exp(a q_i . k_j) for j in i - c/2 .. i - c/2 + c - 1, else phi(q_i) . phi(k_j),
 *         o_i = sum_j A_ij v_j / sum_j A_ij
 *
 * That is linear attention with the window's differences exp(..) - phi . phi added. Exponentials are relative
 * to the largest of a query's, of all keys' (causal: of those so far) and of a window, so that none
 * overflows. */
#include "block/kernel.h"
#include <math.h>

/* Logarithms of phi for z [B, T, H, d]: [B, T, H, F]. */
static tensor *log_features(struct scope *s, tensor *z)
{
    int64_t d = z->shape[3], F = option(s, "features"), rows = option(s, "both_signs") ? F / 2 : F;
    double a = 1 / sqrt((double)d);
    tensor *p = buffer(s, "attn.feature_map.projection_matrix", init_normal(1), 2, SHAPE(rows, d));
    tensor *f = tensor_scale(tensor_linear(z, p, NULL), sqrt(a));
    if (option(s, "both_signs"))
        f = tensor_concat(2, (tensor *[]){f, tensor_negate(f)}, 3);
    tensor *half_square = tensor_scale(tensor_sum(tensor_square(z), 3), a / 2);
    return tensor_affine(tensor_subtract(f, half_square), 1, -log((double)F) / 2);
}

/* x [B, T, H, d] in blocks of w queries, [B, n, H, w, d]; and back. */
static tensor *blocks(tensor *x, int64_t w)
{
    int64_t count = (x->shape[1] + w - 1) / w;
    x = tensor_pad(x, 1, 0, count * w - x->shape[1], 0);
    return tensor_transpose(tensor_reshape(x, 5, SHAPE(x->shape[0], count, w, x->shape[2], x->shape[3])), 2,
                            3);
}

static tensor *unblocked(tensor *x, int64_t T)
{
    x = tensor_reshape(tensor_transpose(x, 2, 3), 4, SHAPE(x->shape[0], -1, x->shape[2], x->shape[4]));
    return tensor_slice(x, 1, 0, T);
}

/* The keys' rows x [B, T, H, d] that each block of w queries can see, [B, n, H, w + c - 1, d]. */
static tensor *spans(struct scope *s, tensor *x, int64_t w)
{
    int64_t T = x->shape[1], c = option(s, "window"), before = c / 2, count = (T + w - 1) / w;
    x = before ? cache_append(s, "window", x, before) : x;
    x = tensor_pad(x, 1, before - (x->shape[1] - T), count * w + c - 1 - before - T, 0);
    return tensor_transpose(tensor_windows(x, 1, w + c - 1, w), 2, 3);
}

/* 1 where a key of a span is in the query's window, else 0: [n, 1, w, w + c - 1]. */
static tensor *in_window(struct scope *s, int64_t T, int64_t w)
{
    int64_t c = option(s, "window"), count = (T + w - 1) / w, span = w + c - 1;
    tensor *mask = tensor_constant(s->graph, NULL, 4, SHAPE(count, 1, w, span));
    for (int64_t i = 0; i < T; i++)
        for (int64_t offset = 0; offset < c; offset++) {
            int64_t key = i - c / 2 + offset;
            if (s->position + key >= 0 && key < T && (key <= i || !option(s, "causal")))
                mask->data[i * span + i % w + offset] = 1;
        }
    return mask;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t B = x->shape[0], T = x->shape[1], heads = option(s, "heads"), d = head_dim(s),
            F = option(s, "features");
    int64_t w = option(s, "window") < T ? option(s, "window") : T;
    tensor *q = split_heads(linear(s, "q_proj", x, s->width, true), heads);
    tensor *k = split_heads(linear(s, "k_proj", x, s->width, true), heads);
    tensor *v = split_heads(linear(s, "v_proj", x, s->width, true), heads);
    tensor *log_q = log_features(s, q), *log_k = log_features(s, k);
    tensor *query_top = tensor_stop_gradient(tensor_max(log_q, 3)),
           *key_top = tensor_stop_gradient(tensor_max(log_k, 3)), *decay = NULL;
    if (option(s, "causal")) {
        struct running_maximum top =
            kept_running_maximum(s, tensor_reshape(key_top, 3, SHAPE(B, T, heads)), NULL);
        decay = tensor_clamp(tensor_subtract(top.before, top.maximum), -100, 0);
        key_top = tensor_reshape(top.maximum, 4, SHAPE(B, T, heads, 1));
    } else {
        key_top = tensor_broadcast(tensor_max(key_top, 1), 4, SHAPE(B, T, heads, 1));
    }
    tensor *phi_q = tensor_exp(tensor_subtract(log_q, query_top));
    tensor *phi_k = tensor_exp(tensor_subtract(log_k, key_top));
    struct linear_sums all =
        decay ? kept_linear_sums(s, "S", phi_q, phi_k, v, decay) : whole_linear_sums(phi_q, phi_k, v);

    tensor *seen = spans(s, tensor_concat(4, (tensor *[]){k, v, phi_k, key_top}, 3), w),
           *mask = in_window(s, T, w);
    k = tensor_slice(seen, 4, 0, d);
    v = tensor_slice(seen, 4, d, d);
    tensor *own_top = blocks(key_top, w), *far_top = tensor_add(blocks(query_top, w), own_top);
    tensor *fall = tensor_subtract(tensor_transpose(tensor_slice(seen, 4, 2 * d + F, 1), 3, 4), own_top);
    tensor *far = tensor_matmul_nt(blocks(phi_q, w), tensor_slice(seen, 4, 2 * d, F));
    far = tensor_multiply(tensor_multiply(far, tensor_exp(tensor_clamp(fall, -1e30, 0))), mask);
    tensor *near = tensor_scale(tensor_matmul_nt(blocks(q, w), k), 1 / sqrt((double)d));
    near = tensor_where(mask, near, tensor_scalar(s->graph, -INFINITY));
    tensor *top = tensor_maximum(tensor_stop_gradient(tensor_max(near, 4)), far_top);
    near = tensor_exp(tensor_subtract(near, top));
    tensor *scale = tensor_exp(tensor_subtract(far_top, top));
    tensor *values = tensor_matmul(tensor_subtract(near, tensor_multiply(scale, far)), v);
    values = tensor_add(values, tensor_multiply(scale, blocks(all.values, w)));
    tensor *rest = tensor_relu(tensor_subtract(blocks(all.weights, w), tensor_sum(far, 4)));
    tensor *weight = tensor_add(tensor_sum(near, 4), tensor_multiply(scale, rest));
    tensor *o = unblocked(tensor_divide(values, tensor_clamp(weight, 1e-30, 1e30)), T);
    return linear(s, "out_proj", merge_heads(o), s->width, true);
}

static const char *validate(const struct scope *s)
{
    if (option(s, "both_signs") && option(s, "features") % 2)
        return "features come in pairs of both signs: their number is even";
    return validate_heads(s);
}

KERNEL(sparse_plus_low_rank_attention) = {
    .name = "sparse-plus-low-rank-attention",
    .slot = SLOT_MIXER,
    .variant = "scatterbrain",
    .summary = "exact scores within a window, random features for all other pairs, in one average",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("window", 64, 1, 1 << 16,
                                      "keys with exact scores, about half of them before the query"),
                       INTEGER_OPTION("features", 64, 1, 65536, "random features"),
                       FLAG_OPTION("both_signs", 1, "each row of the projection gives two features"),
                       FLAG_OPTION("causal", 1, "later tokens are not seen")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "sum"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"feature-map", "random"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .character = causality_by_option,
    .validate = validate,
    .forward = forward,
    .step = forward,
};
