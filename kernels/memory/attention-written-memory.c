/* A long-term memory that attention rewrites after each segment (memory-transformer-xl;
 * lucidrains/memory-transformer-xl MemoryTransformerXL with MemoryAttentionNetwork). Layers attend to G
 * [long_memory, D], which they share, and each to its own S_l, the last `memory` rows of its inputs, without
 * gradient. After a segment of at least `memory` tokens, with the layers' inputs h_l in it:
 *
 *     K = [S_0 ; h_0 ; S_1 ; h_1 ; ..] + e_l,  then the rows mem_kv;      N = G + p
 *         the first G: init_lmem in all rows
 *     u = LN(N),  N = cell(linear_attention(u, [u ; K]) W_out, N)         `updates` times
 *     G = N,  S_l = last rows of [S_l ; h_l]
 *
 * cell: ../residual/bistable-cell.h. Linear attention has 4 heads, softmax(q) over channels and softmax(k)
 * over rows; as published its results [head, row, channel] are laid out as [head, channel, row] and cut anew
 * in rows of D. */
#include "../residual/bistable-cell.h"
#include <math.h>

enum { WRITING_HEADS = 4 };

static tensor *network_parameter(struct scope *s, const char *name, int64_t rows, int64_t columns)
{
    double bound = 1 / sqrt((double)s->width);
    return parameter(s, name, init_uniform(-bound, bound), 3, SHAPE(1, rows, columns));
}

static tensor *matrix(struct scope *s, const char *name, int64_t columns)
{
    double bound = 1 / sqrt((double)s->width);
    return parameter(s, name, init_uniform(-bound, bound), 2, SHAPE(s->width, columns));
}

/* What is written, from memory rows u [B, M, D] and rows [B, S, D] that hold u first. */
static tensor *written(struct scope *s, tensor *u, tensor *rows)
{
    tensor *kv = tensor_matmul(rows, matrix(s, "attn.to_kv", 2 * s->width));
    tensor *q = split_heads(tensor_matmul(u, matrix(s, "attn.to_q", s->width)), WRITING_HEADS);
    tensor *k = split_heads(tensor_slice(kv, 2, 0, s->width), WRITING_HEADS);
    tensor *v = split_heads(tensor_slice(kv, 2, s->width, s->width), WRITING_HEADS);
    tensor *y = whole_linear_product(tensor_softmax(q, 3), tensor_softmax(k, 1), v);
    y = tensor_contiguous(tensor_permute(y, (const int[]){0, 2, 3, 1}));
    return tensor_matmul(tensor_reshape(y, 3, u->shape), matrix(s, "attn.to_out", s->width));
}

/* Rows of a layer with its mark. */
static tensor *marked(struct scope *s, int layer, tensor *rows)
{
    double bound = 1 / sqrt((double)s->width);
    tensor *depth = parameter(s, "depth_emb", init_uniform(-bound, bound), 4, SHAPE(s->layers, 1, 1, 1));
    return tensor_add(rows, tensor_reshape(tensor_slice(depth, 0, layer, 1), 1, SHAPE(1)));
}

/* The memory after a segment, of which all layers' marked rows are given. */
static tensor *rewrite(struct scope *s, tensor *memory, tensor *rows)
{
    int64_t batch = rows->shape[0], width = s->width, count = option(s, "long_memory");
    tensor *start = network_parameter(s, "init_lmem", 1, width);
    int64_t kept = option(s, "key_rows");
    if (kept) {
        tensor *own = network_parameter(s, "mem_kv", kept, width);
        rows = newest_rows(rows, tensor_broadcast(own, 3, SHAPE(batch, kept, width)), INT64_MAX);
    }
    if (!memory)
        memory = tensor_broadcast(start, 3, SHAPE(batch, count, width));
    memory = tensor_add(memory, network_parameter(s, "lmem_pos_emb", count, width));
    for (int64_t i = 0; i < option(s, "updates"); i++) {
        tensor *u = tensor_layer_norm(memory, NULL, NULL, 1e-5);
        memory = bistable_cell(s, "gate.", written(s, u, newest_rows(u, rows, INT64_MAX)), memory);
    }
    return memory;
}

static tensor *segment(struct scope *s, tensor *x)
{
    int64_t limit = option(s, "memory");
    bool writes = x->shape[1] >= limit;
    tensor *memory = carried(s, "long"), *rows = NULL;
    for (int layer = 0; layer < s->layers; layer++) {
        const char *name = part_name(s, "short.%d", layer);
        tensor *kept = carried(s, name);
        tensor *seen = newest_rows(kept, tensor_stop_gradient(x), INT64_MAX);
        rows = newest_rows(rows, marked(s, layer, seen), INT64_MAX);
        if (writes && limit)
            carry(s, name, newest_rows(NULL, seen, limit));
        layer_leave(s, part_name(s, "memory of %d", layer),
                    memory && kept ? newest_rows(memory, kept, INT64_MAX) : memory);
        x = layer_forward(s, layer, x, NULL);
    }
    tensor *next = rewrite(s, memory, rows);
    if (writes)
        carry(s, "long", next);
    return x;
}

static tensor *forward(struct scope *s, tensor *x)
{
    tensor *y = by_segments(s, x, option(s, "segment"), segment);
    if (!s->state && carried(s, "long"))
        further_output(s, "long_memory", carried(s, "long"));
    return y;
}

static const char *validate(const struct scope *s)
{
    return s->width % WRITING_HEADS ? "the width is not divisible by 4, the heads that write the memory"
                                    : NULL;
}

KERNEL(attention_written_memory) = {
    .name = "attention-written-memory",
    .slot = SLOT_MEMORY,
    .variant = "memory-transformer-xl",
    .summary = "beside each layer's newest inputs a memory that linear attention rewrites after each segment",
    .options = OPTIONS(INTEGER_OPTION("segment", 64, 1, 1 << 20, "tokens of a segment"),
                       INTEGER_OPTION("memory", 64, 0, 1 << 20, "newest inputs that each layer keeps"),
                       INTEGER_OPTION("long_memory", 32, 1, 1 << 20, "rows that are rewritten"),
                       INTEGER_OPTION("key_rows", 4, 0, 1 << 20,
                                      "trained rows among those that are read to write"),
                       INTEGER_OPTION("updates", 2, 0, 64, "times that a segment is written")),
    .characters = CHARACTERS({"memory", "tokens"}, {"state", "segments"}, {"update", "gated"},
                             {"time", "linear"}, {"decode-cost", "constant"}, {"causality", "causal"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
