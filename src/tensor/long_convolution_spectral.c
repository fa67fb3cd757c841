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
    int64_t span;  /* results before they are folded: T, or 2 T - 1 when circular */
    int64_t pitch; /* of the rows of a tile */
    struct fourier_plan *forward, *inverse;
    real *roots;   /* exp(pi i j / 2m) */
    real *spectra; /* of the kernels */
};

static int64_t spectrum_length(const struct convolution *c)
{
    return fourier_fast_length((c->length + c->taps) / 2); /* (T + L - 1) / 2, rounded up */
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

static struct row_tile kernel_rows(const struct convolution *c, const tensor *kernel, int64_t number,
                                   int64_t channel)
{
    struct row_tile rows = channel_rows(c, kernel, kernel->rank - 1, number, channel);
    rows.length = c->taps;
    return rows;
}

static real *kernel_spectrum(const struct spectral *s, int64_t batch, int64_t channel)
{
    return s->spectra + ((s->c.kernels > 1 ? batch : 0) * s->c.channels + channel) * 2 * s->m;
}

static void transform_kernels(const struct spectral *s, tensor *y)
{
    const struct convolution *c = &s->c;
    const tensor *kernel = y->inputs[1];
    int64_t tiles = convolution_tiles(c, ROW_TILE), size = ROW_TILE * s->pitch + 2 * s->m;
    int threads = threads_for(convolution_transform_flops(c, (double)(c->kernels * c->channels)));
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
    s.span = c->circular ? 2 * c->length - 1 : c->length;
    s.pitch = row_tile_pitch(s.span);
    s.forward = fourier_plan_create(s.m, false);
    s.inverse = fourier_plan_create(s.m, true);
    s.roots = scratch_take(y->graph, (size_t)s.m * 2);
    fourier_roots(s.m, 4 * s.m, s.roots);
    s.spectra = scratch_take(y->graph, (size_t)(c->kernels * c->channels * 2 * s.m));
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

/* One row of x, replaced by that of y. */
static void convolve_row(const struct spectral *s, const real *kernel, real *row, real *a, real *b)
{
    to_spectrum(s, s->c.length, row, a, b);
    complex_loops()->multiply(s->m, b, kernel, b);
    from_spectrum(s, s->span, b, a, row);
    for (int64_t t = s->c.length; t < s->span; t++)
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
        row_tile_write(&outputs, tile, s.pitch, y->data, false);
    }
    scratch_give(y->graph, scratch);
    spectral_release(&s, y->graph);
}

/* The gradients that go back through one row, dy replaced by dx; room for three spectra. */
static void correlate_row(const struct spectral *s, const real *kernel, const real *x, real *dy,
                          bool wants_dx, real *dkernel, real *room)
{
    real *upstream = room, *a = room + 2 * s->m, *b = room + 4 * s->m;
    for (int64_t t = s->c.length; t < s->span; t++)
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

/* The gradients of one tile of channels of the sequences that share a kernel. */
static void correlate_tile(const struct spectral *s, tensor *y, int64_t number, int64_t channel,
                           real *scratch)
{
    const struct convolution *c = &s->c;
    const tensor *x = y->inputs[0], *kernel = y->inputs[1];
    real *dx = x->gradient, *dkernel = kernel->gradient;
    real *xs = scratch, *dys = xs + ROW_TILE * s->pitch, *spectra = dys + ROW_TILE * s->pitch;
    real *room = spectra + ROW_TILE * 2 * s->m;
    if (dkernel)
        memset(spectra, 0, (size_t)(ROW_TILE * 2 * s->m) * sizeof(real));
    for (int64_t batch = number * c->sharing; batch < (number + 1) * c->sharing; batch++) {
        struct row_tile inputs = channel_rows(c, x, 1, batch, channel);
        struct row_tile outputs = channel_rows(c, y, 1, batch, channel);
        row_tile_read(&outputs, output_gradient(y), dys, s->pitch);
        if (dkernel)
            row_tile_read(&inputs, x->data, xs, s->pitch);
        for (int r = 0; r < inputs.rows; r++)
            correlate_row(s, kernel_spectrum(s, batch, channel + r), xs + r * s->pitch, dys + r * s->pitch,
                          dx != NULL, dkernel ? spectra + r * 2 * s->m : NULL, room);
        if (dx)
            row_tile_write(&inputs, dys, s->pitch, dx, true);
    }
    if (dkernel) {
        struct row_tile rows = kernel_rows(c, kernel, number, channel);
        for (int r = 0; r < rows.rows; r++)
            from_spectrum(s, c->taps, spectra + r * 2 * s->m, room, xs + r * s->pitch);
        row_tile_write(&rows, xs, s->pitch, dkernel, true);
    }
}

void convolution_spectral_backward(tensor *y, const struct convolution *c)
{
    input_gradient(y, 0);
    input_gradient(y, 1);
    struct spectral s = spectral_create(y, c);
    int64_t tiles = convolution_tiles(c, ROW_TILE), size = ROW_TILE * (2 * s.pitch + 2 * s.m) + 6 * s.m;
    int threads = threads_for(convolution_transform_flops(c, 4 * (double)(c->batch * c->channels)));
    real *scratch = scratch_take(y->graph, (size_t)(threads * size));
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t item = 0; item < c->kernels * tiles; item++)
        correlate_tile(&s, y, item / tiles, item % tiles * ROW_TILE, scratch + omp_get_thread_num() * size);
    scratch_give(y->graph, scratch);
    spectral_release(&s, y->graph);
}
