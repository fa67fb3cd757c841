/* Infini-attention: local attention and a matrix of all earlier segments (infini-attention, section 3.1;
 * lucidrains/infini-transformer-pytorch CausalAttention, FastweightMemory). Per head, over segments of
 * `segment` tokens:
 *
 *     local:   causal softmax attention inside the segment, rotary positions that start anew in each
 *     read:    a = s(q) M / max(s(q) . z, 1e-10),                        s(u) = elu(u) + 1
 *     y = g local + (1 - g) a,  g = sigmoid(head_gates);                 y = local in the first segment
 *     write:   M += sum_n s(k_n) v_n^T,  z += sum_n s(k_n);
 *         with `delta` v_n - s(k_n) M / max(s(k_n) . z, 1e-10) for v_n
 *
 * Queries and keys of the memory are neither turned nor scaled. The paper's gate weighs the memory, the
 * published code's what is local. */
#include "block/kernel.h"

/* What the memory says to features [B, H, T, d]. */
static tensor *asked(tensor *features, tensor *matrix, tensor *sums)
{
    tensor *floor = tensor_scalar(features->graph, 1e-10);
    return tensor_divide(tensor_matmul(features, matrix),
                         tensor_maximum(tensor_matmul(features, sums), floor));
}

static tensor *features(tensor *x)
{
    return tensor_transpose(tensor_activation(x, "elu+1"), 1, 2);
}

static void write(struct scope *s, tensor *k, tensor *v, tensor *matrix, tensor *sums)
{
    tensor *keys = features(k), *values = tensor_transpose(v, 1, 2);
    if (matrix && option(s, "delta"))
        values = tensor_subtract(values, asked(keys, matrix, sums));
    tensor *more = tensor_matmul_tn(keys, values);
    tensor *more_sums = tensor_transpose(tensor_sum(keys, 2), 2, 3);
    carry(s, "matrix", matrix ? tensor_add(matrix, more) : more);
    carry(s, "sums", sums ? tensor_add(sums, more_sums) : more_sums);
}

static tensor *segment(struct scope *s, tensor *x)
{
    int64_t heads = option(s, "heads"), d = head_dim(s), inner = heads * d, rows = x->shape[1];
    tensor *qkv = linear(s, "to_qkv", x, 3 * inner, false);
    tensor *q = split_heads(tensor_slice(qkv, 2, 0, inner), heads);
    tensor *k = split_heads(tensor_slice(qkv, 2, inner, inner), heads);
    tensor *v = split_heads(tensor_slice(qkv, 2, 2 * inner, inner), heads);
    tensor *frequencies =
        parameter(s, "rotary_emb.freqs", init_function(fill_rotary_frequencies), 1, SHAPE(d / 2));
    tensor *places = tensor_reshape(tensor_range(s->graph, 0, rows, 1), 2, SHAPE(rows, 1));
    tensor *angles = tensor_multiply(places, frequencies);
    struct attention_options options = {.causal = true};
    tensor *y = tensor_attention(tensor_rotary(q, angles, true), tensor_rotary(k, angles, true), v, &options);
    tensor *gates = parameter(s, "fastweight_mem.head_gates", init_constant(10), 1, SHAPE(heads));
    tensor *matrix = carried(s, "matrix"), *sums = carried(s, "sums");
    if (matrix) {
        tensor *gate = tensor_reshape(tensor_sigmoid(gates), 2, SHAPE(heads, 1));
        tensor *far = tensor_transpose(asked(features(q), matrix, sums), 1, 2);
        y = tensor_add(far, tensor_multiply(gate, tensor_subtract(y, far)));
    }
    write(s, k, v, matrix, sums);
    return linear(s, "to_out", merge_heads(y), s->width, false);
}

static tensor *forward(struct scope *s, tensor *x)
{
    return by_segments(s, x, option(s, "segment"), segment);
}

static const char *validate(const struct scope *s)
{
    return validate_heads(s) ? validate_heads(s) : head_dim(s) % 2 ? "head_dim must be even" : NULL;
}

KERNEL(compressive_memory_attention) = {
    .name = "compressive-memory-attention",
    .slot = SLOT_MIXER,
    .variant = "infini-attention",
    .summary = "attention inside segments beside a matrix into which all earlier ones were added",
    .options = OPTIONS(INTEGER_OPTION("segment", 128, 1, 1 << 24, "tokens of a segment"),
                       INTEGER_OPTION("heads", 8, 1, 1024, "heads"),
                       INTEGER_OPTION("head_dim", 0, 0, 4096, "channels of a head; 0: width / heads"),
                       FLAG_OPTION("delta", 0, "what the memory says already is not written again")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"feature-map", "elu"}, {"visibility", "compressed"}, {"state", "matrix"},
                             {"memory", "matrix"}, {"position", "rotary"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
