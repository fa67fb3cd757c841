/* Memory slots read and written by attention (memformer, section 3; lucidrains/memformer, the encoder alone).
 * Over segments x, with slots M [M, D]:
 *
 *     layers:  h += self-attention(LN h) with T5's bias,  h += attention(LN h, keys and values of M),
 *         h += FF(LN h)
 *     y = LN(h)
 *     update:  u_i = attention(M_i, [M_i ; y]),  g = GRU(u, M),  M = g + FF(LN g)       `updates` times
 *
 * M starts as a trained parameter and carries its gradient on. Self-attention is bidirectional inside a
 * segment; as published its bias is that of max(i - j, 0), so all later keys share a bucket. The whole stack
 * is this kernel: it fills no other slot. */
#include "../mixer/recurrent/gated-cell.h"
#include <math.h>

static tensor *attend(struct scope *s, const char *name, int64_t heads, tensor *query, tensor *other,
                      tensor *bias)
{
    int64_t d = s->width;
    tensor *q = split_heads(linear(s, part_name(s, "%s.to_q", name), query, d, true), heads);
    tensor *kv = linear(s, part_name(s, "%s.to_kv", name), other, 2 * d, true);
    tensor *k = split_heads(tensor_slice(kv, 2, 0, d), heads),
           *v = split_heads(tensor_slice(kv, 2, d, d), heads);
    struct attention_options options = {.bias = bias};
    return linear(s, part_name(s, "%s.to_out", name), merge_heads(tensor_attention(q, k, v, &options)), d,
                  true);
}

static tensor *feed_forward(struct scope *s, const char *name, tensor *x)
{
    tensor *h = layer_norm(s, part_name(s, "%s.fn.norm", name), x, 1e-5);
    h = tensor_gelu(linear(s, part_name(s, "%s.fn.fn.net.0", name), h, 4 * s->width, true));
    return tensor_add(x, linear(s, part_name(s, "%s.fn.fn.net.2", name), h, s->width, true));
}

/* T5's bias, later rows being as near as the row itself. */
static tensor *position_bias(struct scope *s, int64_t rows)
{
    tensor *table = parameter(s, "encoder.layer_blocks.rel_pos_emb.relative_attention_bias.weight",
                              init_normal(1), 2, SHAPE(32, option(s, "heads")));
    return bucketed_bias(table, 128, true, rows, rows);
}

/* -infinity where slot i must not see another slot. */
static tensor *own_slot(struct graph *graph, int64_t slots, int64_t rows)
{
    tensor *mask = tensor_constant(graph, NULL, 4, SHAPE(1, 1, slots, slots + rows));
    for (int64_t i = 0; i < slots; i++)
        for (int64_t j = 0; j < slots + rows; j++)
            mask->data[i * (slots + rows) + j] = j < slots && j != i ? -(real)INFINITY : 0;
    return mask;
}

static tensor *segment(struct scope *s, tensor *x)
{
    int64_t slots = option(s, "slots"), rows = x->shape[1], heads = option(s, "heads");
    tensor *memory = carried(s, "memory"), *bias = position_bias(s, rows);
    tensor *start = parameter(s, "memory_slots", init_normal(1), 2, SHAPE(slots, s->width));
    if (!memory)
        memory = tensor_broadcast(start, 3, SHAPE(x->shape[0], slots, s->width));
    for (int64_t layer = 0; layer < option(s, "depth"); layer++) {
        const char *name = part_name(s, "encoder.layer_blocks.layers.%lld", (long long)layer);
        tensor *h = layer_norm(s, part_name(s, "%s.0.fn.norm", name), x, 1e-5);
        x = tensor_add(x, attend(s, part_name(s, "%s.0.fn.fn", name), heads, h, h, bias));
        h = layer_norm(s, part_name(s, "%s.1.fn.norm", name), x, 1e-5);
        x = tensor_add(x, attend(s, part_name(s, "%s.1.fn.fn", name), heads, h, memory, NULL));
        x = feed_forward(s, part_name(s, "%s.2", name), x);
    }
    x = layer_norm(s, "encoder.norm", x, 1e-5);
    for (int64_t i = 0; i < option(s, "updates"); i++) {
        tensor *seen = tensor_concat(2, (tensor *[]){memory, x}, 1);
        tensor *update = attend(s, "mem_updater", option_or(s, "update_heads", heads), memory, seen,
                                own_slot(s->graph, slots, rows));
        memory = feed_forward(s, "mem_ff", gated_cell(s, "gru", update, memory));
    }
    carry(s, "memory", memory);
    return x;
}

static tensor *forward(struct scope *s, tensor *x)
{
    tensor *y = by_segments(s, x, option(s, "segment"), segment);
    if (!s->state)
        further_output(s, "memory", carried(s, "memory"));
    return y;
}

static const char *validate(const struct scope *s)
{
    return s->width % option_or(s, "update_heads", option(s, "heads"))
               ? "the width is not divisible by update_heads"
               : validate_heads(s);
}

KERNEL(memory_slots) = {
    .name = "memory-slots",
    .slot = SLOT_MEMORY,
    .variant = "memformer",
    .summary = "a fixed number of slots that each segment reads by attention and updates by a gated cell",
    .options = OPTIONS(INTEGER_OPTION("segment", 64, 1, 1 << 20, "tokens of a segment"),
                       INTEGER_OPTION("slots", 16, 1, 1 << 20, "rows of memory"),
                       INTEGER_OPTION("depth", 2, 1, 256, "layers"),
                       INTEGER_OPTION("heads", 8, 1, 1024, "heads of the layers"),
                       INTEGER_OPTION("update_heads", 0, 0, 1024, "heads of the update; 0: as many"),
                       INTEGER_OPTION("updates", 1, 0, 64, "updates after a segment")),
    .characters = CHARACTERS({"mixing", "attention"}, {"normalizer", "softmax"}, {"heads", "multiple"},
                             {"visibility", "block"}, {"memory", "tokens"}, {"state", "segments"},
                             {"update", "gated"}, {"position", "relative"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "bidirectional"}),
    .validate = validate,
    .forward = forward,
    .step = forward,
};
