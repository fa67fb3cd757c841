/* Long convolutions summed directly, a vector of channels side by side. */
#include "tensor/long_convolution.h"
#include "tensor/loops/long_convolution.h"
#include <omp.h>
#include <string.h>

enum { LANES = CONVOLUTION_LANES, PAD = CONVOLUTION_BLOCK - 1 };

/* A run of tokens of up to LANES channels in some tensor. */
struct lanes {
    int count;
    int64_t offset, stride, lane_stride;
};

static struct lanes lanes_of(const tensor *x, int time_axis, int channel_axis, int64_t batch, int64_t channel)
{
    int64_t left = x->shape[channel_axis] - channel;
    return (struct lanes){.count = left < LANES ? (int)left : LANES,
                          .offset =
                              (x->rank == 3 ? batch * x->stride[0] : 0) + channel * x->stride[channel_axis],
                          .stride = x->stride[time_axis],
                          .lane_stride = x->stride[channel_axis]};
}

static struct lanes sequence_lanes(const tensor *x, int64_t batch, int64_t channel)
{
    return lanes_of(x, 1, 2, batch, channel);
}

/* One kernel for all channels is read, and added to, lane by lane at the same place. */
static struct lanes kernel_lanes(const struct convolution *c, const tensor *kernel, int64_t batch,
                                 int64_t channel)
{
    struct lanes lanes = lanes_of(kernel, kernel->rank - 1, kernel->rank - 2, batch, c->alike ? 0 : channel);
    if (c->alike) {
        lanes.count = c->channels - channel < LANES ? (int)(c->channels - channel) : LANES;
        lanes.lane_stride = 0;
    }
    return lanes;
}

static bool lanes_are_full(const struct lanes *lanes)
{
    return lanes->count == LANES && lanes->lane_stride == 1;
}

static void read_lanes(const struct lanes *lanes, const real *data, int64_t length, bool reversed, real *rows)
{
    bool full = lanes_are_full(lanes);
    if (lanes->count < LANES)
        memset(rows, 0, (size_t)(length * LANES) * sizeof(real));
    for (int64_t t = 0; t < length; t++) {
        const real *source = data + lanes->offset + (reversed ? length - 1 - t : t) * lanes->stride;
        if (full)
            memcpy(rows + t * LANES, source, LANES * sizeof(real));
        else
            for (int lane = 0; lane < lanes->count; lane++)
                rows[t * LANES + lane] = source[lane * lanes->lane_stride];
    }
}

/* The result is contiguous. */
static void write_lanes(const struct lanes *lanes, const real *rows, int64_t length, real *data)
{
    for (int64_t t = 0; t < length; t++)
        memcpy(data + lanes->offset + t * lanes->stride, rows + t * LANES,
               (size_t)lanes->count * sizeof(real));
}

static void add_lanes_reversed(const struct lanes *lanes, const real *restrict rows, int64_t length,
                               real *restrict data)
{
    bool full = lanes_are_full(lanes);
    for (int64_t t = 0; t < length; t++) {
        real *restrict target = data + lanes->offset + t * lanes->stride;
        const real *restrict row = rows + (length - 1 - t) * LANES;
        if (full)
            for (int lane = 0; lane < LANES; lane++)
                target[lane] += row[lane];
        else
            for (int lane = 0; lane < lanes->count; lane++)
                target[lane * lanes->lane_stride] += row[lane];
    }
}

/* Where results end: after what a sequence has before it when it wraps, or with zeros after it. */
static int64_t end_of(const struct convolution *c)
{
    return c->circular ? 2 * c->length : c->length + c->ahead;
}

/* Rows of a sequence with what the loop may read around them. */
static int64_t sequence_rows(const struct convolution *c)
{
    return PAD + end_of(c) + PAD;
}

static void read_sequence(const struct convolution *c, const struct lanes *lanes, const real *data,
                          bool reversed, real *rows)
{
    memset(rows, 0, PAD * LANES * sizeof(real));
    rows += PAD * LANES;
    read_lanes(lanes, data, c->length, reversed, rows);
    if (c->circular) {
        memcpy(rows + c->length * LANES, rows, (size_t)(c->length * LANES) * sizeof(real));
        rows += c->length * LANES;
    }
    memset(rows + c->length * LANES, 0, (size_t)((c->ahead + PAD) * LANES) * sizeof(real));
}

/* The last `count` results of a sequence convolved with a kernel. */
static void convolve(const struct convolution *c, int64_t count, int64_t taps, const real *sequence,
                     const real *kernel, real *results)
{
    int64_t end = end_of(c);
    long_convolution_loops()->direct(end - count, end, taps, sequence + PAD * LANES, kernel, results);
}

void convolution_direct(tensor *y, const struct convolution *c)
{
    const tensor *x = y->inputs[0], *kernel = y->inputs[1];
    int64_t tiles = convolution_tiles(c, LANES), rows = sequence_rows(c) + c->taps + c->length + PAD;
    int threads = threads_for(convolution_pairs(c) * (double)(c->batch * c->channels));
    real *scratch = scratch_take(y->graph, (size_t)(threads * rows * LANES));
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t item = 0; item < c->batch * tiles; item++) {
        int64_t batch = item / tiles, channel = item % tiles * LANES;
        real *sequence = scratch + omp_get_thread_num() * rows * LANES;
        real *taps = sequence + sequence_rows(c) * LANES, *results = taps + c->taps * LANES;
        struct lanes from = sequence_lanes(x, batch, channel), to = sequence_lanes(y, batch, channel);
        struct lanes weights = kernel_lanes(c, kernel, batch, channel);
        read_sequence(c, &from, x->data, false, sequence);
        read_lanes(&weights, kernel->data, c->taps, false, taps);
        convolve(c, c->length, c->taps, sequence, taps, results);
        write_lanes(&to, results, c->length, y->data);
    }
    scratch_give(y->graph, scratch);
}

/* The gradients of a tile of channels of the sequences that share a kernel. Against reversed time both are
 * convolutions again: of dy reversed with the kernel, and of x with dy reversed. */
static void direct_backward_tile(tensor *y, const struct convolution *c, int64_t number, int64_t channel,
                                 real *sequence)
{
    const tensor *x = y->inputs[0], *kernel = y->inputs[1];
    real *reversed = sequence + sequence_rows(c) * LANES, *taps = reversed + sequence_rows(c) * LANES;
    real *results = taps + c->taps * LANES;
    int64_t first = number * c->sharing;
    struct lanes weights = kernel_lanes(c, kernel, first, channel);
    read_lanes(&weights, kernel->data, c->taps, false, taps);
    for (int64_t batch = first; batch < first + c->sharing; batch++) {
        struct lanes inputs = sequence_lanes(x, batch, channel), outputs = sequence_lanes(y, batch, channel);
        read_sequence(c, &outputs, output_gradient(y), true, reversed);
        if (x->gradient) {
            convolve(c, c->length, c->taps, reversed, taps, results);
            add_lanes_reversed(&inputs, results, c->length, x->gradient);
        }
        if (kernel->gradient) {
            read_sequence(c, &inputs, x->data, false, sequence);
            convolve(c, c->taps, c->length, sequence, reversed + PAD * LANES, results);
            add_lanes_reversed(&weights, results, c->taps, kernel->gradient);
        }
    }
}

void convolution_direct_backward(tensor *y, const struct convolution *c)
{
    input_gradient(y, 0);
    input_gradient(y, 1);
    int64_t tiles = convolution_tiles(c, LANES), results = c->taps > c->length ? c->taps : c->length;
    int64_t rows = 2 * sequence_rows(c) + c->taps + results + PAD;
    int64_t parts = convolution_parts(c, tiles);
    int threads = threads_for(2 * convolution_pairs(c) * (double)(c->batch * c->channels));
    real *scratch = scratch_take(y->graph, (size_t)(threads * rows * LANES));
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t item = 0; item < c->kernels * parts; item++) {
        int64_t number = item / parts, tile = item % parts, end = c->alike ? tiles : tile + 1;
        for (; tile < end; tile++)
            direct_backward_tile(y, c, number, tile * LANES, scratch + omp_get_thread_num() * rows * LANES);
    }
    scratch_give(y->graph, scratch);
}
