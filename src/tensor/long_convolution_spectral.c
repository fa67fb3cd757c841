/* Long convolutions by Fourier transforms.
 *
 * The real products need no complex transform of twice the length: real polynomials modulo z^2m + 1 are
 * complex ones modulo z^m - i (put i for z^m), so rows x_j + i x_{j+m}, twisted by exp(pi i j / 2m), convolve
 * by plain transforms of length m, with 2m >= T + L - 1 so that nothing that wraps round reaches the T
 * results (Crandall & Fagin 1994). A circular convolution is the whole linear one, folded: so T may have
 * large prime factors. Every map around the product is a multiple of a unitary one, so backward takes the
 * same way with conjugate spectra. */
#include "tensor/fourier_plan.h"
#include "tensor/long_convolution.h"
#include "tensor/loops/complex.h"
#include "tensor/loops/long_convolution.h"
#include "tensor/row_tile.h"
#include <math.h>
#include <omp.h>
#include <string.h>

struct spectral {
    struct convolution c;
    int64_t m;     /* numbers of a spectrum */
    int64_t span;  /* results before they are folded or cut: T + ahead, or 2 T - 1 when circular */
    int64_t pitch; /* of the rows of a tile */
    struct fourier_plan *forward, *inverse;
    real *roots;   /* exp(pi i j / 2m) */
    real *spectra; /* of the kernels */
};

/* Half of what keeps the T results from ahead on free of those that wrap round: at the end, at the start, or
 * in the kernel itself. */
static int64_t spectrum_length(const struct convolution *c)
{
    int64_t end = c->length + c->taps - 1 - c->ahead, start = c->length + c->ahead;
    int64_t most = end > start ? end : start;
    return fourier_fast_length(((most > c->taps ? most : c->taps) + 1) / 2);
}

double convolution_transform_flops(const struct convolution *c, double transforms)
{
    double m = (double)spectrum_length(c);
    return transforms * 5 * m * log2(m);
}

double convolution_product_flops(const struct convolution *c)
{
    return 6 * (double)spectrum_length(c);
}

/* From a row of n reals to its spectrum, with room for another spectrum. */
static void to_spectrum(const struct spectral *s, int64_t n, const real *row, real *room, real *spectrum)
{
    long_convolution_loops()->twist(n, s->m, row, s->roots, room);
    fourier_plan_run(s->forward, room, spectrum, NULL);
}

/* And back, to the first n reals. */
static void from_spectrum(const struct spectral *s, int64_t n, const real *spectrum, real *room, real *row)
{
    fourier_plan_run(s->inverse, spectrum, room, NULL);
    long_convolution_loops()->untwist(n, s->m, room, s->roots, 1 / (real)s->m, row);
}

/* Rows of the kernel, or of sequences, that belong to one kernel or sequence and lie in one tile of channels.
 */
static struct row_tile channel_rows(const struct convolution *c, const tensor *x, int axis, int64_t batch,
                                    int64_t channel)
{
    struct row_tile rows = row_tile_of(x, axis, 1, batch * c->channels + channel);
    if (rows.rows > c->channels - channel)
        rows.rows = (int)(c->channels - channel);
    return rows;
}

static int64_t kernel_channels(const struct convolution *c)
{
    return c->alike ? 1 : c->channels;
}

static struct row_tile kernel_rows(const struct convolution *c, const tensor *kernel, int64_t number,
                                   int64_t channel)
{
    int64_t left = kernel_channels(c) - channel;
    struct row_tile rows = row_tile_of(kernel, kernel->rank - 1, 1, number * kernel_channels(c) + channel);
    rows.rows = rows.rows < left ? rows.rows : (int)left;
    rows.length = c->taps;
    return rows;
}

static real *kernel_spectrum(const struct spectral *s, int64_t batch, int64_t channel)
{
    int64_t number = (s->c.kernels > 1 ? batch : 0) * kernel_channels(&s->c) + (s->c.alike ? 0 : channel);
    return s->spectra + number * 2 * s->m;
}

static void transform_kernels(const struct spectral *s, tensor *y)
{
    const struct convolution *c = &s->c;
    const tensor *kernel = y->inputs[1];
    int64_t tiles = (kernel_channels(c) + ROW_TILE - 1) / ROW_TILE, size = ROW_TILE * s->pitch + 2 * s->m;
    int threads = threads_for(convolution_transform_flops(c, (double)(c->kernels * kernel_channels(c))));
    real *scratch = scratch_take(y->graph, (size_t)(threads * size));
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t item = 0; item < c->kernels * tiles; item++) {
        int64_t number = item / tiles, channel = item % tiles * ROW_TILE;
        real *tile = scratch + omp_get_thread_num() * size, *room = tile + ROW_TILE * s->pitch;
        struct row_tile rows = kernel_rows(c, kernel, number, channel);
        row_tile_read(&rows, kernel->data, tile, s->pitch);
        for (int r = 0; r < rows.rows; r++)
            to_spectrum(s, c->taps, tile + r * s->pitch, room, kernel_spectrum(s, number, channel + r));
    }
    scratch_give(y->graph, scratch);
}

static struct spectral spectral_create(tensor *y, const struct convolution *c)
{
    struct spectral s = {.c = *c, .m = spectrum_length(c)};
    s.span = c->circular ? 2 * c->length - 1 : c->length + c->ahead;
    s.pitch = row_tile_pitch(s.span > c->taps ? s.span : c->taps);
    s.forward = fourier_plan_create(s.m, false);
    s.inverse = fourier_plan_create(s.m, true);
    s.roots = scratch_take(y->graph, (size_t)s.m * 2);
    fourier_roots(s.m, 4 * s.m, s.roots);
    s.spectra = scratch_take(y->graph, (size_t)(c->kernels * kernel_channels(c) * 2 * s.m));
    transform_kernels(&s, y);
    return s;
}

static void spectral_release(struct spectral *s, struct graph *graph)
{
    fourier_plan_free(s->forward);
    fourier_plan_free(s->inverse);
    scratch_give(graph, s->roots);
    scratch_give(graph, s->spectra);
}

/* One row of x, replaced by that of y, which starts at `ahead`. */
static void convolve_row(const struct spectral *s, const real *kernel, real *row, real *a, real *b)
{
    to_spectrum(s, s->c.length, row, a, b);
    complex_loops()->multiply(s->m, b, kernel, b);
    from_spectrum(s, s->span, b, a, row);
    for (int64_t t = s->c.length; s->c.circular && t < s->span; t++)
        row[t - s->c.length] += row[t];
}

void convolution_spectral(tensor *y, const struct convolution *c)
{
    const tensor *x = y->inputs[0];
    struct spectral s = spectral_create(y, c);
    int64_t tiles = convolution_tiles(c, ROW_TILE), size = ROW_TILE * s.pitch + 4 * s.m;
    int threads = threads_for(convolution_transform_flops(c, 2 * (double)(c->batch * c->channels)));
    real *scratch = scratch_take(y->graph, (size_t)(threads * size));
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t item = 0; item < c->batch * tiles; item++) {
        int64_t batch = item / tiles, channel = item % tiles * ROW_TILE;
        real *tile = scratch + omp_get_thread_num() * size, *room = tile + ROW_TILE * s.pitch;
        struct row_tile inputs = channel_rows(c, x, 1, batch, channel);
        struct row_tile outputs = channel_rows(c, y, 1, batch, channel);
        row_tile_read(&inputs, x->data, tile, s.pitch);
        for (int r = 0; r < inputs.rows; r++)
            convolve_row(&s, kernel_spectrum(&s, batch, channel + r), tile + r * s.pitch, room,
                         room + 2 * s.m);
        row_tile_write(&outputs, tile + c->ahead, s.pitch, y->data, false);
    }
    scratch_give(y->graph, scratch);
    spectral_release(&s, y->graph);
}

/* The gradients that go back through one row, dy from `ahead` on replaced by dx from 0 on; room for three
 * spectra. */
static void correlate_row(const struct spectral *s, const real *kernel, const real *x, real *dy,
                          bool wants_dx, real *dkernel, real *room)
{
    real *upstream = room, *a = room + 2 * s->m, *b = room + 4 * s->m;
    memset(dy, 0, (size_t)s->c.ahead * sizeof *dy);
    for (int64_t t = s->c.length; s->c.circular && t < s->span; t++)
        dy[t] = dy[t - s->c.length];
    to_spectrum(s, s->span, dy, a, upstream);
    if (dkernel) {
        to_spectrum(s, s->c.length, x, a, b);
        complex_loops()->multiply_conjugate_add(s->m, upstream, b, dkernel);
    }
    if (wants_dx) {
        memset(a, 0, (size_t)s->m * 2 * sizeof(real));
        complex_loops()->multiply_conjugate_add(s->m, upstream, kernel, a);
        from_spectrum(s, s->c.length, a, b, dy);
    }
}

/* Room of one thread: rows of x and of dy, spectra of the kernels' gradients, and more. */
struct room {
    real *x, *dy, *spectra, *more;
};

/* What one sequence gives the gradients of a tile of channels. */
static void correlate_tile(const struct spectral *s, tensor *y, int64_t batch, int64_t channel,
                           const struct room *room)
{
    const struct convolution *c = &s->c;
    const tensor *x = y->inputs[0];
    real *dx = x->gradient;
    bool wants_kernel = y->inputs[1]->gradient != NULL;
    struct row_tile inputs = channel_rows(c, x, 1, batch, channel);
    struct row_tile outputs = channel_rows(c, y, 1, batch, channel);
    row_tile_read(&outputs, output_gradient(y), room->dy + c->ahead, s->pitch);
    if (wants_kernel)
        row_tile_read(&inputs, x->data, room->x, s->pitch);
    for (int r = 0; r < inputs.rows; r++)
        correlate_row(s, kernel_spectrum(s, batch, channel + r), room->x + r * s->pitch,
                      room->dy + r * s->pitch, dx != NULL,
                      wants_kernel ? room->spectra + (c->alike ? 0 : r * 2 * s->m) : NULL, room->more);
    if (dx)
        row_tile_write(&inputs, room->dy, s->pitch, dx, true);
}

/* The gradients of the sequences that share a kernel in the channels from `first` to before `end`. */
static void correlate(const struct spectral *s, tensor *y, int64_t number, int64_t first, int64_t end,
                      real *scratch)
{
    const struct convolution *c = &s->c;
    const tensor *kernel = y->inputs[1];
    struct room room = {scratch, scratch + ROW_TILE * s->pitch, scratch + 2 * ROW_TILE * s->pitch, NULL};
    room.more = room.spectra + ROW_TILE * 2 * s->m;
    if (kernel->gradient)
        memset(room.spectra, 0, (size_t)(ROW_TILE * 2 * s->m) * sizeof(real));
    for (int64_t batch = number * c->sharing; batch < (number + 1) * c->sharing; batch++)
        for (int64_t channel = first; channel < end; channel += ROW_TILE)
            correlate_tile(s, y, batch, channel, &room);
    if (kernel->gradient) {
        struct row_tile rows = kernel_rows(c, kernel, number, first);
        for (int r = 0; r < rows.rows; r++)
            from_spectrum(s, c->taps, room.spectra + r * 2 * s->m, room.more, room.x + r * s->pitch);
        row_tile_write(&rows, room.x, s->pitch, kernel->gradient, true);
    }
}

void convolution_spectral_backward(tensor *y, const struct convolution *c)
{
    input_gradient(y, 0);
    input_gradient(y, 1);
    struct spectral s = spectral_create(y, c);
    int64_t parts = convolution_parts(c, convolution_tiles(c, ROW_TILE));
    int64_t size = ROW_TILE * (2 * s.pitch + 2 * s.m) + 6 * s.m;
    int threads = threads_for(convolution_transform_flops(c, 4 * (double)(c->batch * c->channels)));
    real *scratch = scratch_take(y->graph, (size_t)(threads * size));
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t item = 0; item < c->kernels * parts; item++) {
        int64_t first = item % parts * ROW_TILE, end = c->alike ? c->channels : first + 1;
        correlate(&s, y, item / parts, first, end, scratch + omp_get_thread_num() * size);
    }
    scratch_give(y->graph, scratch);
    spectral_release(&s, y->graph);
}
