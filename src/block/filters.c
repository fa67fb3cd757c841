#include "block/filters.h"
#include <math.h>

/* ---- Convolutions ---- */

tensor *kept_long_convolution(struct scope *s, const char *name, tensor *x, tensor *filter, int64_t taps)
{
    if (!s->state)
        return tensor_long_convolution(x, filter, false);
    int64_t rows = x->shape[1];
    tensor *all = taps == 1 ? x : cache_append(s, name, x, taps ? taps - 1 : 0);
    int64_t past = all->shape[1] - rows, size = filter->shape[1];
    x = tensor_slice(all, 1, past, rows); /* what reads the cache also writes it */
    size = size < past + rows ? size : past + rows;
    tensor *weight = tensor_flip(tensor_slice(filter, 1, 0, size), 1), *before = NULL;
    if (size > 1) {
        before = tensor_slice(all, 1, 0, past);
        before = past < size - 1 ? tensor_pad(before, 1, size - 1 - past, 0, 0)
                                 : tensor_slice(before, 1, past - size + 1, size - 1);
    }
    return tensor_causal_convolution(x, weight, NULL, before);
}

tensor *kept_taps(struct scope *s, const char *name, tensor *taps)
{
    int64_t channels = taps->shape[1];
    tensor *all = cache_append(s, name, tensor_reshape(taps, 3, SHAPE(1, taps->shape[0], channels)), 0);
    return tensor_transpose(tensor_reshape(all, 2, SHAPE(all->shape[1], channels)), 0, 1);
}

tensor *two_sided_convolution(tensor *x, tensor *past, tensor *future)
{
    int axis = past->rank - 1;
    int64_t ahead = future->shape[axis] < x->shape[1] ? future->shape[axis] : x->shape[1] - 1;
    if (ahead == 0)
        return tensor_long_convolution(x, past, false);
    tensor *first = tensor_flip(tensor_slice(future, axis, 0, ahead), axis);
    return tensor_two_sided_convolution(x, tensor_concat(2, (tensor *[]){first, past}, axis), ahead);
}

/* ---- The sine network ---- */

/* (t, cos(f w), -sin(f w)) for t from 0 to 1, w = 2 pi l / length and bands f from 1e-4 to their number less
 * one. */
static void fill_embedding(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)s, (void)rank;
    int64_t length = shape[1], size = shape[2], bands = (size - 1) / 2;
    for (int64_t l = 0; l < length; l++) {
        real *z = values + l * size;
        z[0] = (real)(length > 1 ? (double)l / (double)(length - 1) : 0);
        for (int64_t i = 0; i < bands; i++) {
            double f = bands > 1 ? 1e-4 + (double)i * ((double)bands - 1 - 1e-4) / (double)(bands - 1) : 1e-4;
            double angle = f * 2 * M_PI * (double)l / (double)length;
            z[1 + i] = (real)cos(angle);
            z[1 + bands + i] = (real)-sin(angle);
        }
    }
}

static void fill_time(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)s, (void)rank;
    for (int64_t l = 0; l < shape[1]; l++)
        values[l] = (real)(shape[1] > 1 ? (double)l / (double)(shape[1] - 1) : 0);
}

/* The window falls to a hundredth within 0.3 to 1.5 of the length. */
static void fill_decays(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)s, (void)rank;
    double slow = log(0.01) / 1.5, fast = log(0.01) / 0.3;
    for (int64_t c = 0; c < shape[2]; c++) {
        double share = shape[2] > 1 ? (double)c / (double)(shape[2] - 1) : 0;
        values[c] = (real)(slow + share * (fast - slow));
    }
}

static tensor *network(struct scope *s, const struct sine_filter *f, tensor *z)
{
    const char *layers = part_name(s, "%s.implicit_filter%s", f->name, f->reversed ? "_rev" : "");
    tensor *frequency = parameter(s, part_name(s, "%s.implicit_filter.1.freq", f->name),
                                  init_constant(f->frequency), 2, SHAPE(1, f->hidden));
    tensor *weights[SINE_FILTER_MOST_DEPTH + 1], *biases[SINE_FILTER_MOST_DEPTH + 1];
    for (int64_t i = 0; i <= f->depth; i++) {
        long long number = 2 * i;
        weights[i] = parameter(s, part_name(s, "%s.%lld.weight", layers, number), init_linear(), 2,
                               SHAPE(f->hidden, i ? f->hidden : f->embedding));
        double bound = 1 / sqrt((double)(i ? f->hidden : f->embedding));
        biases[i] = parameter(s, part_name(s, "%s.%lld.bias", layers, number), init_uniform(-bound, bound), 1,
                              SHAPE(f->hidden));
    }
    frequency = tensor_reshape(frequency, 1, SHAPE(f->hidden));
    z = tensor_sine_network(tensor_reshape(z, 2, SHAPE(z->shape[1], f->embedding)), frequency, f->factor,
                            f->depth + 1, weights, biases);
    return linear(s, part_name(s, "%s.%lld", layers, (long long)(2 * f->depth + 2)), z, f->channels, false);
}

tensor *sine_filter(struct scope *s, const struct sine_filter *f, int64_t count)
{
    tensor *z = parameter(s, part_name(s, "%s.pos_emb.z", f->name), init_function(fill_embedding), 3,
                          SHAPE(1, f->length, f->embedding));
    tensor *t =
        buffer(s, part_name(s, "%s.pos_emb.t", f->name), init_function(fill_time), 3, SHAPE(1, f->length, 1));
    tensor *decay = buffer(s, part_name(s, "%s.modulation.deltas", f->name), init_function(fill_decays), 3,
                           SHAPE(1, 1, f->channels));
    tensor *h = network(s, f, tensor_slice(z, 1, s->position, count));
    t = tensor_slice(t, 1, s->position, count);
    tensor *window = tensor_exp(tensor_negate(tensor_multiply(t, tensor_absolute(decay))));
    h = tensor_multiply(h, tensor_affine(window, 1, f->shift));
    return kept_taps(s, part_name(s, "%s.taps", f->name), tensor_reshape(h, 2, SHAPE(count, f->channels)));
}
