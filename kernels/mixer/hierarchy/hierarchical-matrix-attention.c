/* H-Transformer-1D, causal (h-transformer-1d, sections 6 and 7; lucidrains/h-transformer-1d
 * CausalHAttention1D): near keys are seen one by one, farther ones as means of 2, 4, 8, .. tokens.
 *
 *     level l:  q, k = means and v = sums over groups of 2^l tokens; z groups make a block
 *     Y_i = sum_j e_ij v_j,  A_i = sum_j e_ij,  e_ij = exp(q_i . k_j / sqrt(d) - max_j)
 *     o_t = sum_l Y_l / (sum_l A_l + epsilon)
 *
 * j runs at level 0 over t's own block up to t, and at every other over the block before, if i's is the
 * second of a pair; a group's row counts for its last token alone. As published each level has its own
 * maximum, no level but 0 sees within a block, level 0 sees no second block, and rotary positions turn v too.
 *
 * A step appends to a level when one of its groups is complete; each level keeps its last two blocks. */
#include "block/kernel.h"
#include <math.h>

/* The newest rows [B, n, H, w] of one level, which end at its row `end`. */
struct rows {
    tensor *values;
    int64_t end;
};

/* Rows [first, last) of them. */
static tensor *between(struct rows rows, int64_t first, int64_t last)
{
    return tensor_slice(rows.values, 1, rows.values->shape[1] - (rows.end - first), last - first);
}

/* Rows x [B, n, H, w] in groups, [B, n / size, H, size, w]; zeros before the first and after the last. */
static tensor *grouped(tensor *x, int64_t before, int64_t size)
{
    int64_t B = x->shape[0], count = (before + x->shape[1] + size - 1) / size, H = x->shape[2];
    x = tensor_pad(x, 1, before, count * size - before - x->shape[1], 0);
    return tensor_transpose(tensor_reshape(x, 5, SHAPE(B, count, size, H, x->shape[3])), 2, 3);
}

/* (Y, A) [B, n, H, d + 1] for the rows [first, end) of q, k and v, the last of which has a column of ones for
 * A. */
static tensor *level_sums(struct scope *s, int64_t level, int64_t first, const struct rows parts[3])
{
    int64_t z = option(s, "block"), size = level ? 2 * z : z, start = first / size * size, end = parts[0].end;
    tensor *q = grouped(between(parts[0], first, end), first - start, size);
    tensor *k = grouped(between(parts[1], start, end), 0, size),
           *v = grouped(between(parts[2], start, end), 0, size);
    if (level) { /* the second blocks of pairs see the first */
        q = tensor_slice(q, 3, z, z);
        k = tensor_slice(k, 3, 0, z);
        v = tensor_slice(v, 3, 0, z);
    }
    tensor *scores = tensor_matmul_nt(q, k);
    if (!level)
        scores = tensor_where(lower_triangle(s->graph, z, z, 0), scores, tensor_scalar(s->graph, -INFINITY));
    tensor *y = tensor_matmul(tensor_exp(tensor_subtract(scores, tensor_max(scores, 4))), v);
    if (level)
        y = tensor_pad(y, 3, z, 0, 0);
    y = tensor_reshape(tensor_transpose(y, 2, 3), 4, SHAPE(y->shape[0], -1, y->shape[2], y->shape[4]));
    return tensor_slice(y, 1, first - start, end - first);
}

/* The sums of a level's new rows, which begin with `first`, at the last tokens of their groups among T new
 * ones, zeros between. */
static tensor *at_last_tokens(tensor *y, int64_t level, int64_t first, int64_t position, int64_t T)
{
    int64_t B = y->shape[0], n = y->shape[1], H = y->shape[2], w = y->shape[3], span = (int64_t)1 << level;
    y = tensor_pad(tensor_reshape(y, 5, SHAPE(B, n, 1, H, w)), 2, 0, span - 1, 0);
    y = tensor_pad(tensor_reshape(y, 4, SHAPE(B, n * span, H, w)), 1, (first + 1) * span - 1 - position, 0,
                   0);
    return tensor_slice(y, 1, 0, T);
}

/* The rows of the level above that the rows of `part` complete, from its row `first` on: sums or means of
 * two. */
static tensor *coarser(struct rows part, int64_t first, bool mean)
{
    tensor *x = between(part, 2 * first, part.end / 2 * 2);
    int64_t B = x->shape[0], n = x->shape[1] / 2, H = x->shape[2], w = x->shape[3];
    x = tensor_reshape(x, 5, SHAPE(B, n, 2, H, w));
    return tensor_reshape(mean ? tensor_mean(x, 2) : tensor_sum(x, 2), 4, SHAPE(B, n, H, w));
}

/* (Y, A) over all levels for q, k, v [B, T, H, d]. */
static tensor *all_levels(struct scope *s, tensor *q, tensor *k, tensor *v)
{
    static const char *const names[] = {"query", "key", "value"};
    int64_t z = option(s, "block"), T = q->shape[1], first = s->position, end = first + T;
    tensor *new_rows[] = {q, k, v}, *sums = NULL;
    for (int64_t level = 0; end > first; level++) {
        struct rows parts[3];
        for (int i = 0; i < 3; i++) {
            const char *name = part_name(s, "%s.%lld", names[i], (long long)level);
            parts[i] = (struct rows){cache_append(s, name, new_rows[i], i ? 2 * z : 1), end};
        }
        struct rows counted[] = {parts[0], parts[1], parts[2]};
        int64_t kept = counted[2].values->shape[1];
        tensor *ones = tensor_full(s->graph, 1, 4, SHAPE(q->shape[0], kept, q->shape[2], 1));
        counted[2].values = tensor_concat(2, (tensor *[]){parts[2].values, ones}, 3);
        if (!level || end > z) {
            tensor *y = level_sums(s, level, first, counted);
            y = at_last_tokens(y, level, first, s->position, T);
            sums = sums ? tensor_add(sums, y) : y;
        } else if (!s->state) {
            break; /* no second block at this level, nor above */
        }
        first /= 2;
        end /= 2;
        for (int i = 0; i < 3 && end > first; i++)
            new_rows[i] = coarser(parts[i], first, i < 2);
    }
    return sums;
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = head_dim(s), T = x->shape[1];
    tensor *qkv = linear(s, "to_qkv", x, 3 * heads * d, false), *parts[3];
    tensor *rates = buffer(s, "pos_emb.inv_freq", init_function(fill_rotary_frequencies), 1, SHAPE(d / 2));
    tensor *places = tensor_reshape(tensor_range(s->graph, s->position, T, 1), 2, SHAPE(T, 1));
    for (int i = 0; i < 3; i++) {
        tensor *part = split_heads(tensor_slice(qkv, 2, i * heads * d, heads * d), heads);
        parts[i] = tensor_rotary(part, tensor_multiply(places, rates), true);
    }
    tensor *sums = all_levels(s, tensor_scale(parts[0], 1 / sqrt((double)d)), parts[1], parts[2]);
    tensor *weight = tensor_affine(tensor_slice(sums, 3, d, 1), 1, option_real(s, "epsilon"));
    return linear(s, "to_out", merge_heads(tensor_divide(tensor_slice(sums, 3, 0, d), weight)), s->width,
                  true);
}

static const char *validate(const struct scope *s)
{
    if (option(s, "block") & (option(s, "block") - 1))
        return "block is a power of two";
    if (validate_heads(s))
        return validate_heads(s);
    return head_dim(s) % 2 ? "a head needs an even number of channels to turn" : NULL;
}

KERNEL(hierarchical_matrix_attention) = {
    .name = "hierarchical-matrix-attention",
    .slot = SLOT_MIXER,
    .variant = "h-transformer-1d",
    .summary = "the own block exactly, farther blocks by means over ever longer groups of tokens",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       INTEGER_OPTION("block", 128, 1, 1 << 20,
                                      "rows of a block at every level, a power of two"),
                       REAL_OPTION("epsilon", 1e-8, 0, 1, "added to the sum of weights")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "sum"}, {"heads", "multiple"},
                             {"visibility", "compressed"}, {"state", "compressed-cache"},
                             {"position", "rotary"}, {"time", "linear"}, {"decode-cost", "logarithmic"},
                             {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
