/* Associative memory of a segment's memory tokens, a matrix per layer (armt, section 2;
 * RodkinIvan/associative-recurrent-memory-transformer modeling_amt AssociativeLayerWrapper).
 *
 * Each segment is [x_i ; m] with the same trained m [M, D]. From the second segment on every row asks the
 * layer's memory before the layer, h = h + f(Wq h) A / (f(Wq h) . z + e), with DPFP features f; after the
 * layer the rows of m are written:
 *     k = f(Wk m), v = Wv m, b = sigmoid(Wb m), v' = k A / (k . z + e)      (0 at first)
 *     A += k^T (b (v - v')),   z += k^T c,   c = 1 - k . z / |k|^2 within [0, 1], or 1 without `correction`
 * c is without gradient. e = 1e-5. */
#include "../mixer/linear/rolled-products.h"

static const double epsilon = 1e-5;

static tensor *projected(struct scope *s, int layer, const char *name, tensor *x, int64_t outputs, bool bias)
{
    return linear(s, part_name(s, "layers.%d.%s", layer, name), x, outputs, bias);
}

/* What a layer's memory A [B, F, D], z [B, F, 1] says to features [B, T, F]. */
static tensor *asked(tensor *key, tensor *matrix, tensor *sums)
{
    return tensor_divide(tensor_matmul(key, matrix), tensor_affine(tensor_matmul(key, sums), 1, epsilon));
}

static void write(struct scope *s, int layer, tensor *rows, tensor *matrix, tensor *sums)
{
    tensor *key =
        rolled_products(projected(s, layer, "W_mk", rows, option(s, "state"), false), option(s, "nu"));
    tensor *value = projected(s, layer, "W_mv", rows, s->width, false);
    tensor *strength = tensor_sigmoid(projected(s, layer, "W_mb", rows, 1, true));
    tensor *weight = tensor_full(s->graph, 1, 3, SHAPE(rows->shape[0], rows->shape[1], 1));
    if (matrix) {
        value = tensor_subtract(value, asked(key, matrix, sums));
        tensor *known = tensor_affine(tensor_matmul(key, sums), 1, epsilon);
        tensor *size = tensor_affine(tensor_sum(tensor_square(key), 2), 1, epsilon);
        if (option(s, "correction"))
            weight =
                tensor_stop_gradient(tensor_clamp(tensor_affine(tensor_divide(known, size), -1, 1), 0, 1));
    }
    tensor *more = tensor_matmul_tn(key, tensor_multiply(strength, value));
    tensor *more_sums = tensor_matmul_tn(key, weight);
    carry(s, part_name(s, "matrix.%d", layer), matrix ? tensor_add(matrix, more) : more);
    carry(s, part_name(s, "sums.%d", layer), sums ? tensor_add(sums, more_sums) : more_sums);
}

static tensor *segment(struct scope *s, tensor *x)
{
    int64_t count = option(s, "tokens"), length = x->shape[1];
    tensor *memory = parameter(s, "memory", init_normal(0.02), 2, SHAPE(count, s->width));
    memory = tensor_broadcast(memory, 3, SHAPE(x->shape[0], count, s->width));
    tensor *rows = tensor_concat(2, (tensor *[]){x, memory}, 1);
    for (int layer = 0; layer < s->layers; layer++) {
        tensor *matrix = carried(s, part_name(s, "matrix.%d", layer));
        tensor *sums = carried(s, part_name(s, "sums.%d", layer));
        tensor *query =
            rolled_products(projected(s, layer, "W_mq", rows, option(s, "state"), false), option(s, "nu"));
        if (matrix)
            rows = tensor_add(rows, asked(query, matrix, sums));
        rows = layer_forward(s, layer, rows, NULL);
        write(s, layer, tensor_slice(rows, 1, length, count), matrix, sums);
    }
    return tensor_slice(rows, 1, 0, length);
}

static tensor *forward(struct scope *s, tensor *x)
{
    return by_segments(s, x, option(s, "segment"), segment);
}

KERNEL(associative_memory) = {
    .name = "associative-memory",
    .slot = SLOT_MEMORY,
    .variant = "armt",
    .summary = "memory tokens of each segment are written to a matrix per layer that later rows ask",
    .options = OPTIONS(INTEGER_OPTION("segment", 128, 1, 1 << 24, "tokens of a segment"),
                       INTEGER_OPTION("tokens", 16, 1, 1 << 20, "rows that a segment writes"),
                       INTEGER_OPTION("state", 64, 1, 1 << 16, "channels of the memory's queries and keys"),
                       INTEGER_OPTION("nu", 3, 1, 64, "shifts of the features"),
                       FLAG_OPTION("correction", 1,
                                   "what is known already does not count twice in the sums")),
    .characters = CHARACTERS({"memory", "matrix"}, {"state", "segments"}, {"update", "delta"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .forward = forward,
    .step = forward,
};
