/* PermuteFormer (permuteformer; cpcp1998/PermuteFormer PerformerMultiheadAttention, BertSelfAttention):
 * linear attention whose features are permuted once for every position. With a random permutation P_h of each
 * head's channels,
 *
 *     q'_t = phi(q_t permuted by P_h^t),  k' likewise,   phi(u) = relu(u) + epsilon
 *     causal          o_t = sum_{s<=t} r_h^(t-s) (q'_t . k'_s) v_s,
 *         r_h = sigmoid(3 h / H + 2), without a denominator;  y = o Wo + bo
 *     bidirectional   y_t = sum_s (q'_t . k'_s) v_s / sum_s q'_t . k'_s of a layer norm of x,
 *         without an output projection
 *
 * as in the released language model and the released encoder. Powers of P are found by squaring, not one
 * after the other. */
#include "block/kernel.h"
#include <math.h>
#include <string.h>

/* For init_function(): a random permutation of each row. */
static void fill_permutations(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)s, (void)rank;
    uint64_t random = 0x9e3779b97f4a7c15; /* a linear congruential generator: only mixing matters */
    for (real *row = values; row < values + shape[0] * shape[1]; row += shape[1])
        for (int64_t i = 0; i < shape[1]; i++) {
            random = random * 6364136223846793005 + 1442695040888963407;
            int64_t j = (int64_t)((random >> 33) % (uint64_t)(i + 1));
            row[i] = row[j];
            row[j] = (real)i;
        }
}

/* first applied after second: [H, .., d] of permutations, second [H, 1, d]. */
static tensor *composed(tensor *first, tensor *second)
{
    return tensor_gather(first, 2, second);
}

/* P^first .. P^(first + count - 1): [1, count, H, d]. */
static tensor *powers(struct scope *s, tensor *permutation, int64_t first, int64_t count)
{
    int64_t heads = permutation->shape[0], d = permutation->shape[1];
    tensor *identity = tensor_reshape(tensor_range(s->graph, 0, d, 1), 3, SHAPE(1, 1, d));
    tensor *table = tensor_broadcast(identity, 3, SHAPE(heads, 1, d)), *start = table;
    tensor *square = tensor_reshape(permutation, 3, SHAPE(heads, 1, d)); /* P^n */
    for (int64_t n = 1; n <= first || n < count; n *= 2) {
        if (first & n)
            start = composed(start, square);
        if (n < count)
            table = tensor_concat(2, (tensor *[]){table, composed(table, square)}, 1);
        square = composed(square, square);
    }
    table = composed(tensor_slice(table, 1, 0, count), start);
    return tensor_reshape(tensor_transpose(table, 0, 1), 4, SHAPE(1, count, heads, d));
}

static tensor *features(struct scope *s, tensor *x, tensor *places)
{
    return tensor_affine(tensor_relu(tensor_gather(x, 3, places)), 1, option_real(s, "epsilon"));
}

static tensor *forward(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), inner = s->width * option(s, "key_expand");
    bool causal = option(s, "causal");
    if (!causal)
        x = layer_norm(s, "LayerNorm", x, option_real(s, "norm_epsilon"));
    tensor *permutation =
        buffer(s, "permutation0", init_function(fill_permutations), 2, SHAPE(heads, inner / heads));
    tensor *places = powers(s, permutation, s->position, x->shape[1]);
    tensor *q = features(s, split_heads(linear(s, "q_proj", x, inner, true), heads), places);
    tensor *k = features(s, split_heads(linear(s, "k_proj", x, inner, true), heads), places);
    tensor *v = split_heads(linear(s, "v_proj", x, s->width, true), heads);
    if (!causal) {
        struct linear_sums sums = whole_linear_sums(q, k, v);
        return merge_heads(tensor_divide(sums.values, sums.weights));
    }
    tensor *log_decay = tensor_constant(s->graph, NULL, 1, SHAPE(heads));
    for (int64_t h = 0; h < heads; h++)
        log_decay->data[h] = (real)-log1p(exp(-3 * (double)h / (double)heads - 2));
    struct matrix_scan_options scan = {.log_decay = log_decay};
    return linear(s, "out_proj", merge_heads(kept_matrix_scan(s, "S", q, k, v, scan)), s->width, true);
}

static tensor *step(struct scope *s, tensor *x)
{
    return option(s, "causal") ? forward(s, x) : replay_step(s, x);
}

static const char *character(const struct scope *s, const char *name)
{
    if (option(s, "causal"))
        return NULL;
    static const char *const of_encoder[][2] = {{"mixing", "linear-attention"},
                                                {"normalizer", "sum"},
                                                {"state", "none"},
                                                {"decay", "none"},
                                                {"causality", "bidirectional"}};
    for (size_t i = 0; i < sizeof of_encoder / sizeof *of_encoder; i++)
        if (strcmp(name, of_encoder[i][0]) == 0)
            return of_encoder[i][1];
    return NULL;
}

KERNEL(permuted_linear_attention) = {
    .name = "permuted-linear-attention",
    .slot = SLOT_MIXER,
    .variant = "permuteformer",
    .summary = "linear attention whose features are permuted by position, with a fixed decay for each head",
    .options = OPTIONS(INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("key_expand", 1, 1, 64, "channels of queries and keys over width"),
                       REAL_OPTION("epsilon", 1e-3, 0, 1, "added to features"),
                       FLAG_OPTION("causal", 1, "the language model's form; else the encoder's"),
                       REAL_OPTION("norm_epsilon", 1e-5, 0, 1, "of the encoder's norm")),
    .characters = CHARACTERS({"mixing", "matrix-state"}, {"normalizer", "none"}, {"heads", "multiple"},
                             {"visibility", "all"}, {"state", "matrix"}, {"update", "additive"},
                             {"decay", "fixed"}, {"decay-grain", "head"}, {"feature-map", "relu"},
                             {"position", "relative"}, {"output-gate", "no"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .character = character,
    .validate = validate_heads,
    .forward = forward,
    .step = step,
};
