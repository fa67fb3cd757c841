/* What mixers and position kernels share of positions: rotation, cached keys, and T5's buckets. */
#include "block/kernel.h"
#include <math.h>
#include <stdlib.h>

/* Whether keys turn differently at every step, so that turned ones cannot be kept. */
static bool rotates_anew(const struct scope *position)
{
    return position && position->kernel->rotates_anew && position->kernel->rotates_anew(position);
}

/* q or k [B, T, H, d], the newest of the rows that have places; with places for each entry of the batch all
 * of it as one sequence. */
static tensor *rotate_newest(struct scope *s, tensor *x)
{
    const tensor *places = s->places;
    int64_t rows = x->shape[1], count = tensor_length(places, -1);
    if (rows > count || (places->rank == 2 && places->shape[0] != x->shape[0]))
        kernel_fail(s, "%lld rows have places, but %lld are to be rotated", (long long)count,
                    (long long)rows);
    if (places->rank == 1)
        return rotate_to_places(s, x, places->data + count - rows);
    tensor *newest = tensor_constant(s->graph, NULL, 1, SHAPE(x->shape[0] * rows));
    for (int64_t i = 0; i < x->shape[0] * rows; i++)
        newest->data[i] = places->data[i / rows * count + count - rows + i % rows];
    tensor *flat = tensor_reshape(x, 4, SHAPE(1, x->shape[0] * rows, x->shape[2], x->shape[3]));
    return tensor_reshape(rotate_to_places(s, flat, newest->data), 4, x->shape);
}

/* Queries turned, or keys (or what turns with them), `earlier` of which stand before the present tokens. */
static tensor *rotate_one(struct scope *s, tensor *x, bool is_key, int64_t earlier)
{
    struct scope *position = s->position_scope;
    if (!position || !position->kernel->rotate)
        return x;
    if (s->places)
        return rotate_newest(s, x);
    return position->kernel->rotate(position, x, is_key, s->position - (is_key ? earlier : 0));
}

static void rotate_both(struct scope *s, tensor **q, tensor **k)
{
    int64_t earlier = (*k)->shape[1] - (*q)->shape[1];
    *q = rotate_one(s, *q, false, earlier);
    *k = rotate_one(s, *k, true, earlier);
}

static void require_lasting_rotation(struct scope *s)
{
    if (s->state && rotates_anew(s->position_scope))
        kernel_fail(s, "it keeps rotated keys, which the position kernel '%s' rotates anew at every step",
                    s->position_scope->kernel->name);
}

void rotate_query_and_key(struct scope *s, tensor **q, tensor **k)
{
    require_lasting_rotation(s);
    rotate_both(s, q, k);
}

tensor *rotate_as_keys(struct scope *s, tensor *x, int64_t length)
{
    require_lasting_rotation(s);
    return rotate_one(s, x, true, x->shape[1] - length);
}

tensor *rotate_to_places(struct scope *s, tensor *x, const real *places)
{
    struct scope *position = s->position_scope;
    if (!position || !position->kernel->rotate)
        return x;
    if (!position->kernel->rotate_to)
        kernel_fail(s,
                    "tokens are moved to other places, which the position kernel '%s' cannot: try 'rotary'",
                    position->kernel->name);
    return position->kernel->rotate_to(position, x, places);
}

tensor *rotate_to_place(struct scope *s, tensor *x, double place)
{
    const int64_t *flat = SHAPE(x->shape[0] * x->shape[1], 1, x->shape[2], x->shape[3]);
    real places[] = {(real)place};
    return tensor_reshape(rotate_to_places(s, tensor_reshape(x, 4, flat), places), 4, x->shape);
}

tensor *positioned_attention(struct scope *s, tensor *q, tensor *k, tensor *v,
                             struct attention_options options)
{
    struct scope *position = s->position_scope;
    bool anew = rotates_anew(position);
    if (position && position->kernel->grid_bias)
        kernel_fail(s, "the position kernel '%s' is for mixers over a grid, such as 'window-attention'",
                    position->kernel->name);
    if (!anew)
        rotate_both(s, &q, &k);
    int64_t past = options.window > 0 && options.sinks == 0 ? options.window - 1 : 0;
    bool nothing_past = options.window == 1;
    if (s->state && !nothing_past) {
        k = cache_append(s, "key", k, past);
        v = cache_append(s, "value", v, past);
    }
    if (anew)
        rotate_both(s, &q, &k);
    options.offset = k->shape[1] - q->shape[1];
    if (position && position->kernel->bias) {
        struct score_bias bias = position->kernel->bias(position, q, k, options.offset);
        options.bias = bias.full;
        options.distance_bias = bias.distance;
    }
    if (s->memory_mask) {
        options.causal = false;
        options.window = 0;
        options.bias = options.bias ? tensor_add(options.bias, s->memory_mask) : s->memory_mask;
    }
    return tensor_attention(q, k, v, &options);
}

tensor *relative_shift(tensor *scores)
{
    int64_t batch = scores->shape[0], heads = scores->shape[1], rows = scores->shape[2],
            columns = scores->shape[3];
    tensor *padded = tensor_pad(scores, 3, 1, 0, 0);
    tensor *turned = tensor_reshape(padded, 4, SHAPE(batch, heads, columns + 1, rows));
    return tensor_reshape(tensor_slice(turned, 2, 1, columns), 4, SHAPE(batch, heads, rows, columns));
}

int64_t distance_bucket(int64_t distance, int64_t buckets, int64_t max_distance)
{
    int64_t exact = buckets / 2;
    if (distance < exact)
        return distance;
    /* In single precision, as published: buckets end where it says. */
    float ratio = logf((float)distance / (float)exact);
    float share = ratio / (float)log((double)max_distance / (double)exact) * (float)(buckets - exact);
    int64_t bucket = exact + (int64_t)share;
    return bucket < buckets ? bucket : buckets - 1;
}

tensor *bucketed_distance_bias(tensor *table, int64_t max_distance, int64_t length)
{
    tensor *places = tensor_constant(table->graph, NULL, 1, SHAPE(length));
    for (int64_t n = 0; n < length; n++)
        places->data[n] = (real)distance_bucket(n, table->shape[0], max_distance);
    return tensor_contiguous(tensor_transpose(tensor_rows(table, places), 0, 1));
}

tensor *bucketed_bias(tensor *table, int64_t max_distance, bool causal, int64_t rows, int64_t columns)
{
    int64_t buckets = table->shape[0];
    tensor *places = tensor_constant(table->graph, NULL, 2, SHAPE(rows, columns));
    for (int64_t n = 0; n < rows * columns; n++) {
        int64_t distance = columns - rows + n / columns - n % columns;
        if (causal)
            places->data[n] = (real)distance_bucket(distance > 0 ? distance : 0, buckets, max_distance);
        else
            places->data[n] = (real)((distance < 0 ? buckets / 2 : 0) +
                                     distance_bucket(llabs(distance), buckets / 2, max_distance));
    }
    return tensor_contiguous(tensor_permute(tensor_rows(table, places), (const int[]){2, 0, 1}));
}
