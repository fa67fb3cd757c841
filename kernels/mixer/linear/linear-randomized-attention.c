/* LARA, linear randomised attention by multiple importance sampling (lara, section 4;
 * HKUNLP/efficient-attention LinearRA), in its deterministic form: each of the C samples (at most one a
 * token) is its proposal's mean. Bidirectional.
 *
 *     qbar_c, kbar_c = segment means of LN(q Wq' + b), LN(k Wk' + b),  mu_c = qbar_c + kbar_c,
 *         xi(u, c) = exp(s mu_c . u - s |u|^2 / 2)
 *     beta_c = sum_j xi(k_j, c) v_j / Z_c,  Z_c = sum_j xi(k_j, c),  P_cc' = log xi(mu_c', c),
 *         s = 1 / sqrt(d)
 *     o_n = sum_c w_cn beta_c,  w_cn = softmax over c of log alpha_cn + log xi(q_n, c) + log Z_c - proposal_c
 *
 * Weighting mis-opt: alpha_cn = exp(P_cc - lse_c' P_cc') + coefficient (t_cn - mean_c t_cn), at least 1e-8, t
 * = softmax over the queries of s qbar_c . q_n, proposal P_cc; mis-bh: alpha 1, proposal lse_c' P_cc'. */
#include "block/kernel.h"
#include <math.h>

/* Means [B, H, C, d] over C segments of x [B, H, T, d]; the first ones are a token shorter where C does not
 * divide T. */
static tensor *segment_means(struct scope *s, tensor *x)
{
    int64_t batch = x->shape[0], heads = x->shape[1], length = x->shape[2], d = x->shape[3];
    int64_t count = option(s, "landmarks") < length ? option(s, "landmarks") : length;
    int64_t size = length / count, shorter = (size + 1) * count - length;
    tensor *parts[2], *cut[] = {tensor_slice(x, 2, 0, shorter * size),
                                tensor_slice(x, 2, shorter * size, length - shorter * size)};
    int used = 0;
    for (int i = 0; i < 2; i++) {
        int64_t segments = i ? count - shorter : shorter;
        if (segments == 0)
            continue;
        tensor *grouped = tensor_reshape(cut[i], 5, SHAPE(batch, heads, segments, size + i, d));
        parts[used++] = tensor_reshape(tensor_mean(grouped, 3), 4, SHAPE(batch, heads, segments, d));
    }
    return tensor_concat(used, parts, 2);
}

static tensor *landmarks(struct scope *s, const char *name, tensor *x)
{
    tensor *projected = linear(s, part_name(s, "%s.0", name), x, x->shape[3], true);
    return segment_means(s, layer_norm(s, part_name(s, "%s.1", name), projected, 1e-5));
}

/* log xi(u_n, c): [B, H, C, N] */
static tensor *log_weights(tensor *mu, tensor *u, double scale)
{
    tensor *half = tensor_transpose(tensor_sum(tensor_square(u), 3), 2, 3);
    return tensor_scale(tensor_subtract(tensor_matmul_nt(mu, u), tensor_scale(half, 0.5)), scale);
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads");
    double scale = 1 / sqrt((double)(s->width / heads));
    tensor *qkv = linear(s, "qkv", x, 3 * s->width, true), *parts[3];
    for (int i = 0; i < 3; i++)
        parts[i] = tensor_contiguous(
            tensor_transpose(split_heads(tensor_slice(qkv, 2, i * s->width, s->width), heads), 1, 2));
    tensor *q = parts[0], *k = parts[1], *v = parts[2];
    tensor *qbar = landmarks(s, "q_bar_gen", q), *mu = tensor_add(qbar, landmarks(s, "k_bar_gen", k));
    tensor *of_keys = log_weights(mu, k, scale);
    tensor *beta = tensor_matmul(tensor_softmax(of_keys, 3), v), *log_z = tensor_log_sum_exp(of_keys, 3);
    tensor *pairs = log_weights(mu, mu, scale), *evidence = tensor_log_sum_exp(pairs, 3); /* [B, H, C, 1] */
    tensor *logits = tensor_add(log_weights(mu, q, scale), log_z);
    if (option_is(s, "weighting", "mis-opt")) {
        tensor *self = tensor_scale(tensor_sum(tensor_square(mu), 3), scale / 2); /* P_cc */
        tensor *t = tensor_softmax(tensor_scale(tensor_matmul_nt(qbar, q), scale), 3);
        tensor *spread = tensor_scale(tensor_subtract(t, tensor_mean(t, 2)), option_real(s, "coefficient"));
        tensor *alpha = tensor_add(tensor_exp(tensor_subtract(self, evidence)), spread);
        logits = tensor_subtract(tensor_add(logits, tensor_log(tensor_clamp(alpha, 1e-8, INFINITY))), self);
    } else {
        logits = tensor_subtract(logits, evidence);
    }
    tensor *o = tensor_matmul_tn(tensor_softmax(logits, 2), beta);
    return linear(s, "proj", merge_heads(tensor_transpose(o, 1, 2)), s->width, true);
}

KERNEL(linear_randomized_attention) = {
    .name = "linear-randomized-attention",
    .slot = SLOT_MIXER,
    .variant = "lara",
    .summary =
        "softmax attention estimated from a few proposals placed at landmarks, weighted against each other",
    .options =
        OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                INTEGER_OPTION("landmarks", 4, 1, 65536, "proposals, each from a segment of the tokens"),
                CHOICE_OPTION("weighting", "mis-opt|mis-bh", "optimal weights, or the balance heuristic"),
                REAL_OPTION("coefficient", 1, 0, 100, "of the correction of optimal weights")),
    .characters = CHARACTERS({"mixing", "linear-attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "landmark"}, {"state", "none"}, {"feature-map", "random"},
                             {"output-gate", "no"}, {"time", "linear"}, {"causality", "bidirectional"}),
    .validate = validate_heads,
    .forward = forward,
};
