/* Memory tokens carried from segment to segment (rmt, section 3;
 * RodkinIvan/associative-recurrent-memory-transformer modeling_rmt MemoryCell;
 * lucidrains/recurrent-memory-transformer-pytorch).
 *
 *     (.., y_i, m') = layers([m ; x_i ; m]),  the next segment's m = m'                      form shared
 *     (.., y_i, r') = norm(layers([r + e ; x_i + p ; w])),  the next segment's r = r'        form separate
 *
 * The rows before the segment are read, those after it written. In the first segment m is a trained
 * parameter; r is nothing, so that with `always_read` e alone is read, and without it there are no rows to
 * read. With `accumulate` the written rows start from w + r, r without gradient. With `memory_sees_all` read
 * rows see each other and written rows everything, else rows see the rows before. */
#include "block/kernel.h"
#include <math.h>

static tensor *for_batch(tensor *rows, int64_t batch)
{
    return tensor_broadcast(rows, 3, SHAPE(batch, rows->shape[0], rows->shape[1]));
}

static tensor *memory_parameter(struct scope *s, const char *name)
{
    return parameter(s, name, init_normal(0.02), 2, SHAPE(option(s, "tokens"), s->width));
}

/* -infinity where a row must not see another: `read` rows, then those of the segment, then written ones. */
static tensor *mask(struct graph *graph, int64_t read, int64_t segment, int64_t rows)
{
    tensor *hidden = tensor_constant(graph, NULL, 4, SHAPE(1, 1, rows, rows));
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < rows; j++) {
            bool seen = i < read ? j < read : i >= read + segment || j <= i;
            hidden->data[i * rows + j] = seen ? 0 : -(real)INFINITY;
        }
    return hidden;
}

/* Places for rotations: those of the segment are far from the memory's, which have no order. */
static tensor *places(struct graph *graph, int64_t read, int64_t segment, int64_t rows)
{
    tensor *place = tensor_constant(graph, NULL, 1, SHAPE(rows));
    for (int64_t i = 0; i < segment; i++)
        place->data[read + i] = (real)(10000 + i);
    return place;
}

/* [read ; segment ; written] through all layers. */
static tensor *through_layers(struct scope *s, tensor *x, int64_t read, int64_t segment)
{
    int64_t rows = x->shape[1];
    s->memory_mask = option(s, "memory_sees_all") ? mask(s->graph, read, segment, rows) : NULL;
    layer_leave(s, "places", places(s->graph, read, segment, rows));
    for (int layer = 0; layer < s->layers; layer++)
        x = layer_forward(s, layer, x, NULL);
    return x;
}

static tensor *segment(struct scope *s, tensor *x)
{
    int64_t count = option(s, "tokens"), batch = x->shape[0], length = x->shape[1], read_count = count;
    tensor *before = carried(s, "memory"), *read, *written;
    if (option_is(s, "form", "shared")) {
        read = written = before ? before : for_batch(memory_parameter(s, "memory"), batch);
    } else {
        tensor *place = memory_parameter(s, "read_memory_emb");
        written = for_batch(memory_parameter(s, "memory_tokens"), batch);
        if (before && option(s, "accumulate"))
            written = tensor_add(written, tensor_stop_gradient(before));
        read = before ? tensor_add(before, place) : for_batch(place, batch);
        if (!before && !option(s, "always_read"))
            read_count = 0;
    }
    if (option(s, "positions"))
        x = tensor_add(x, tensor_slice(parameter(s, "pos_emb.weight", init_normal(0.02), 2,
                                                 SHAPE(option(s, "segment"), s->width)),
                                       0, 0, length));
    tensor *rows[] = {read, x, written};
    tensor *y = tensor_concat(read_count ? 3 : 2, read_count ? rows : rows + 1, 1);
    y = through_layers(s, y, read_count, length);
    if (option(s, "final_norm"))
        y = rms_norm(s, "norm", y, option_real(s, "epsilon"));
    carry(s, "memory", tensor_slice(y, 1, -count, count));
    return tensor_slice(y, 1, read_count, length);
}

static tensor *forward(struct scope *s, tensor *x)
{
    tensor *y = by_segments(s, x, option(s, "segment"), segment);
    if (!s->state)
        further_output(s, "memory", carried(s, "memory"));
    return y;
}

KERNEL(recurrent_memory_tokens) = {
    .name = "recurrent-memory-tokens",
    .slot = SLOT_MEMORY,
    .variant = "rmt",
    .summary = "rows written behind a segment are read in front of the next",
    .options = OPTIONS(
        INTEGER_OPTION("segment", 128, 1, 1 << 24, "tokens of a segment"),
        INTEGER_OPTION("tokens", 16, 1, 1 << 20, "rows of memory"),
        CHOICE_OPTION("form", "shared|separate",
                      "what is read is also what is written over, or rows of their own"),
        FLAG_OPTION("always_read", 1, "separate: trained rows are read in the first segment too"),
        FLAG_OPTION("accumulate", 0, "separate: written rows start from what was read"),
        FLAG_OPTION("memory_sees_all", 0, "rows of memory see those beside them and all that comes before"),
        FLAG_OPTION("positions", 0, "a trained vector for each place in a segment"),
        FLAG_OPTION("final_norm", 0, "an RMS norm after the last layer"),
        REAL_OPTION("epsilon", 1.1920929e-07, 0, 1, "of that norm")),
    .characters = CHARACTERS({"memory", "tokens"}, {"state", "segments"}, {"time", "linear"},
                             {"decode-cost", "constant"}, {"causality", "causal"}),
    .forward = forward,
    .step = forward,
};
