/* The spectrum of a convolution kernel of diagonal-plus-low-rank state spaces under the bilinear rule: Cauchy
 * sums over the poles, joined by the Woodbury correction (s4, theorem 3). With p = 2 i sin(theta / 2), g =
 * cos(theta / 2) and poles a = dt A a sum has the pairs
 *     q / (p - a g) + conj(q) / (p - conj(a) g) = (2 Re(q) p - 2 Re(q conj(a)) g) / D,  D = p^2 - 2 Re(a) p g + |a|^2 g^2.
 * Poles lie close to the imaginary axis and the correction takes away most of what they give there, so all of
 * it is computed in double precision, in either library. A complex z has the gradient dL/dRe(z) + i
 * dL/dIm(z). */
#include "tensor/loops/structured_spectrum.h"
#include "tensor/operation.h"
#include <complex.h>
#include <math.h>
#include <string.h>

enum { PIECE = SPECTRUM_PIECE, MOST_RANKS = 8, MOST_CHANNELS = 64 };
enum { MOST_ENTRIES = (MOST_CHANNELS + MOST_RANKS) * (1 + MOST_RANKS) };
enum { LOG_DT, POLES, INPUTS, LOW_RANK, OUTPUTS };

/* A sum for each left vector (the outputs, then conj P) and right vector (the input, then P): an entry. */
struct spectrum {
    int64_t systems, modes, ranks, channels, length, frequencies, rows, columns, entries;
};

/* One system's numbers, [.., modes], and its sums at a piece's frequencies; all of it again for gradients. */
struct workspace {
    double dt, *real_part, *square, *alpha, *beta, *sum_re, *sum_im;
};

static double complex number_at(const real *x, int64_t i)
{
    return (double)x[2 * i] + I * (double)x[2 * i + 1];
}

static double complex left(const tensor *y, const struct spectrum *c, int64_t h, int64_t row, int64_t n)
{
    if (row < c->channels)
        return number_at(y->inputs[OUTPUTS]->data, (h * c->channels + row) * c->modes + n);
    return conj(number_at(y->inputs[LOW_RANK]->data, (h * c->ranks + row - c->channels) * c->modes + n));
}

static double complex right(const tensor *y, const struct spectrum *c, int64_t h, int64_t column, int64_t n)
{
    if (column == 0)
        return number_at(y->inputs[INPUTS]->data, h * c->modes + n);
    return number_at(y->inputs[LOW_RANK]->data, (h * c->ranks + column - 1) * c->modes + n);
}

static int64_t workspace_size(const struct spectrum *c)
{
    return 2 * (c->modes + c->entries * (c->modes + PIECE));
}

static struct workspace workspace_at(const struct spectrum *c, double *place)
{
    struct workspace w = {.real_part = place, .square = place + c->modes};
    w.alpha = w.square + c->modes;
    w.beta = w.alpha + c->entries * c->modes;
    w.sum_re = w.beta + c->entries * c->modes;
    w.sum_im = w.sum_re + c->entries * PIECE;
    return w;
}

static void read_system(const tensor *y, const struct spectrum *c, int64_t h, struct workspace *w)
{
    w->dt = exp((double)y->inputs[LOG_DT]->data[h]);
    for (int64_t n = 0; n < c->modes; n++) {
        double complex a = w->dt * number_at(y->inputs[POLES]->data, h * c->modes + n);
        w->real_part[n] = creal(a);
        w->square[n] = creal(a) * creal(a) + cimag(a) * cimag(a);
        for (int64_t e = 0; e < c->entries; e++) {
            double complex q = left(y, c, h, e / c->columns, n) * right(y, c, h, e % c->columns, n);
            w->alpha[e * c->modes + n] = creal(q * conj(a));
            w->beta[e * c->modes + n] = creal(q);
        }
    }
}

static void set_frequencies(const struct spectrum *c, int64_t first, struct spectrum_piece *t)
{
    t->count = c->frequencies - first < PIECE ? c->frequencies - first : PIECE;
    for (int64_t k = 0; k < t->count; k++) {
        double half = M_PI * (double)(first + k) / (double)c->length;
        t->sine[k] = 2 * sin(half);
        t->cosine[k] = 2 * (first + k) == c->length ? 0 : cos(half);
    }
}

static void add_sums(const struct spectrum *c, struct workspace *w, struct spectrum_piece *t)
{
    memset(w->sum_re, 0, (size_t)(2 * c->entries * PIECE) * sizeof *w->sum_re);
    for (int64_t n = 0; n < c->modes; n++) {
        structured_spectrum_loops()->invert(t, w->real_part[n], w->square[n]);
        for (int64_t e = 0; e < c->entries; e++)
            structured_spectrum_loops()->add_pair(t, w->alpha[e * c->modes + n], w->beta[e * c->modes + n],
                                                  w->sum_re + e * PIECE, w->sum_im + e * PIECE);
    }
}

/* One column of P taken out of the sums: S - u scale / (1 + scale x) v, u and v its column and row and x
 * where they cross. */
static void eliminate(const struct spectrum *c, int64_t rank, double scale, double complex *S)
{
    double complex column[MOST_CHANNELS + MOST_RANKS], row[1 + MOST_RANKS];
    for (int64_t i = 0; i < c->rows; i++)
        column[i] = S[i * c->columns + 1 + rank];
    memcpy(row, S + (c->channels + rank) * c->columns, (size_t)c->columns * sizeof *row);
    double complex share = scale / (1 + scale * row[1 + rank]);
    for (int64_t i = 0; i < c->rows; i++)
        for (int64_t j = 0; j < c->columns; j++)
            S[i * c->columns + j] -= column[i] * share * row[j];
}

/* From the sums S before and the gradient dS after to that before; returns the gradient of the scale. */
static double eliminate_backward(const struct spectrum *c, int64_t rank, double scale,
                                 const double complex *S, double complex *dS)
{
    const double complex *row = S + (c->channels + rank) * c->columns, crossing = row[1 + rank];
    double complex share = scale / (1 + scale * crossing), d_share = 0, d_row[1 + MOST_RANKS] = {0},
                   d_column[MOST_CHANNELS + MOST_RANKS];
    for (int64_t i = 0; i < c->rows; i++) {
        double complex u = S[i * c->columns + 1 + rank];
        d_column[i] = 0;
        for (int64_t j = 0; j < c->columns; j++) {
            double complex d = dS[i * c->columns + j];
            d_column[i] -= conj(share * row[j]) * d;
            d_row[j] -= conj(share * u) * d;
            d_share -= conj(u * row[j]) * d;
        }
    }
    for (int64_t i = 0; i < c->rows; i++)
        dS[i * c->columns + 1 + rank] += d_column[i];
    for (int64_t j = 0; j < c->columns; j++)
        dS[(c->channels + rank) * c->columns + j] += d_row[j];
    double complex pivot = 1 + scale * crossing, d_pivot = -conj(scale / (pivot * pivot)) * d_share;
    dS[(c->channels + rank) * c->columns + 1 + rank] += scale * d_pivot;
    return creal(conj(1 / pivot) * d_share) + creal(conj(crossing) * d_pivot);
}

static void gather(const struct spectrum *c, const struct workspace *w, int64_t k, double complex *S)
{
    for (int64_t e = 0; e < c->entries; e++)
        S[e] = w->sum_re[e * PIECE + k] + I * w->sum_im[e * PIECE + k];
}

static double work_of(const struct spectrum *c)
{
    return (double)(c->systems * c->modes * c->frequencies) * (12 + 8 * (double)c->entries);
}

static void spectrum_forward(tensor *y)
{
    const struct spectrum *c = y->attributes;
    int64_t size = workspace_size(c);
    real *scratch = scratch_take(y->graph, (size_t)(c->systems * size) * (sizeof(double) / sizeof(real)));
#pragma omp parallel for num_threads(threads_for(work_of(c))) schedule(static)
    for (int64_t h = 0; h < c->systems; h++) {
        struct workspace w = workspace_at(c, (double *)(void *)scratch + h * size);
        read_system(y, c, h, &w);
        for (int64_t first = 0; first < c->frequencies; first += PIECE) {
            struct spectrum_piece t;
            double complex S[MOST_ENTRIES];
            set_frequencies(c, first, &t);
            add_sums(c, &w, &t);
            for (int64_t k = 0; k < t.count; k++) {
                gather(c, &w, k, S);
                for (int64_t r = 0; r < c->ranks; r++)
                    eliminate(c, r, w.dt * t.cosine[k], S);
                double complex turn = w.dt * (t.cosine[k] + I * t.sine[k] / 2);
                for (int64_t m = 0; m < c->channels; m++) {
                    double complex z = S[m * c->columns] * turn;
                    real *to = y->data + ((h * c->channels + m) * c->frequencies + first + k) * 2;
                    to[0] = (real)creal(z);
                    to[1] = (real)cimag(z);
                }
            }
        }
    }
    scratch_give(y->graph, scratch);
}

/* The gradients of one frequency's sums, in their place. */
static void sums_backward(const tensor *y, const struct spectrum *c, int64_t h, int64_t first, int64_t k,
                          const struct spectrum_piece *t, const struct workspace *w, struct workspace *d)
{
    double complex S[(1 + MOST_RANKS)][MOST_ENTRIES], dS[MOST_ENTRIES] = {0};
    double scale = w->dt * t->cosine[k];
    const real *dy = output_gradient(y);
    gather(c, w, k, S[0]);
    for (int64_t r = 0; r < c->ranks; r++) {
        memcpy(S[r + 1], S[r], (size_t)c->entries * sizeof **S);
        eliminate(c, r, scale, S[r + 1]);
    }
    double complex turn = t->cosine[k] + I * t->sine[k] / 2;
    for (int64_t m = 0; m < c->channels; m++) {
        double complex dz = number_at(dy, (h * c->channels + m) * c->frequencies + first + k);
        dS[m * c->columns] = conj(w->dt * turn) * dz;
        d->dt += creal(conj(turn * S[c->ranks][m * c->columns]) * dz);
    }
    for (int64_t r = c->ranks - 1; r >= 0; r--)
        d->dt += t->cosine[k] * eliminate_backward(c, r, scale, S[r], dS);
    for (int64_t e = 0; e < c->entries; e++) {
        d->sum_re[e * PIECE + k] = creal(dS[e]);
        d->sum_im[e * PIECE + k] = cimag(dS[e]);
    }
}

/* From the gradients of a piece's sums to those of alpha, beta, Re(a) and |a|^2 of mode n. */
static void pairs_backward(const struct spectrum *c, const struct spectrum_piece *t, int64_t n,
                           const struct workspace *w, struct workspace *d)
{
    struct pair_slopes slopes = {0, 0, d->real_part[n], d->square[n]};
    for (int64_t e = 0; e < c->entries; e++) {
        int64_t at = e * c->modes + n;
        slopes.alpha = d->alpha[at];
        slopes.beta = d->beta[at];
        structured_spectrum_loops()->pair_backward(t, w->alpha[at], w->beta[at], d->sum_re + e * PIECE,
                                                   d->sum_im + e * PIECE, &slopes);
        d->alpha[at] = slopes.alpha;
        d->beta[at] = slopes.beta;
    }
    d->real_part[n] = slopes.real_part;
    d->square[n] = slopes.square;
}

static void add_number(real *gradient, int64_t i, double complex value)
{
    if (!gradient)
        return;
    gradient[2 * i] += (real)creal(value);
    gradient[2 * i + 1] += (real)cimag(value);
}

/* The gradients of the inputs at mode n. */
static void mode_backward(tensor *y, const struct spectrum *c, int64_t h, int64_t n,
                          const struct workspace *w, struct workspace *d, real *const *gradients)
{
    double complex A = number_at(y->inputs[POLES]->data, h * c->modes + n),
                   d_left[MOST_CHANNELS + MOST_RANKS] = {0}, d_right[1 + MOST_RANKS] = {0};
    double complex dA = w->dt * d->real_part[n] + 2 * w->dt * w->dt * d->square[n] * A;
    d->dt += d->real_part[n] * creal(A) + 2 * w->dt * creal(A * conj(A)) * d->square[n];
    for (int64_t e = 0; e < c->entries; e++) {
        double complex l = left(y, c, h, e / c->columns, n), r = right(y, c, h, e % c->columns, n), q = l * r;
        double d_alpha = d->alpha[e * c->modes + n];
        double complex dq = w->dt * d_alpha * A + d->beta[e * c->modes + n];
        dA += w->dt * d_alpha * q;
        d->dt += d_alpha * creal(q * conj(A));
        d_left[e / c->columns] += conj(r) * dq;
        d_right[e % c->columns] += conj(l) * dq;
    }
    add_number(gradients[POLES], h * c->modes + n, dA);
    add_number(gradients[INPUTS], h * c->modes + n, d_right[0]);
    for (int64_t m = 0; m < c->channels; m++)
        add_number(gradients[OUTPUTS], (h * c->channels + m) * c->modes + n, d_left[m]);
    for (int64_t r = 0; r < c->ranks; r++)
        add_number(gradients[LOW_RANK], (h * c->ranks + r) * c->modes + n,
                   d_right[1 + r] + conj(d_left[c->channels + r]));
}

static void system_backward(tensor *y, const struct spectrum *c, int64_t h, struct workspace *w,
                            struct workspace *d, real *const *gradients)
{
    read_system(y, c, h, w);
    for (int64_t first = 0; first < c->frequencies; first += PIECE) {
        struct spectrum_piece t;
        set_frequencies(c, first, &t);
        add_sums(c, w, &t);
        for (int64_t k = 0; k < t.count; k++)
            sums_backward(y, c, h, first, k, &t, w, d);
        for (int64_t n = 0; n < c->modes; n++) {
            structured_spectrum_loops()->invert(&t, w->real_part[n], w->square[n]);
            pairs_backward(c, &t, n, w, d);
        }
    }
    for (int64_t n = 0; n < c->modes; n++)
        mode_backward(y, c, h, n, w, d, gradients);
    if (gradients[LOG_DT])
        gradients[LOG_DT][h] += (real)(d->dt * w->dt);
}

static void spectrum_backward(tensor *y)
{
    const struct spectrum *c = y->attributes;
    int64_t size = workspace_size(c);
    real *scratch = scratch_take(y->graph, (size_t)(c->systems * 2 * size) * (sizeof(double) / sizeof(real)));
    real *gradients[OUTPUTS + 1];
    for (int i = 0; i <= OUTPUTS; i++)
        gradients[i] = input_gradient(y, i);
#pragma omp parallel for num_threads(threads_for(2 * work_of(c))) schedule(static)
    for (int64_t h = 0; h < c->systems; h++) {
        double *place = (double *)(void *)scratch + h * 2 * size;
        memset(place + size, 0, (size_t)size * sizeof *place);
        struct workspace w = workspace_at(c, place), d = workspace_at(c, place + size);
        system_backward(y, c, h, &w, &d, gradients);
    }
    scratch_give(y->graph, scratch);
}

static const struct operation spectrum_operation = {
    "structured_spectrum", spectrum_forward, spectrum_backward,
    SAVES_INPUT(LOG_DT) | SAVES_INPUT(POLES) | SAVES_INPUT(INPUTS) | SAVES_INPUT(LOW_RANK) |
        SAVES_INPUT(OUTPUTS),
    false};

tensor *tensor_structured_spectrum(tensor *log_dt, tensor *A, tensor *B, tensor *P, tensor *C, int64_t length)
{
    const char *name = spectrum_operation.name;
    require(A->rank == 3 && A->shape[2] == 2, A, name, "poles [H, N, 2]");
    int64_t h = A->shape[0], n = A->shape[1];
    require(log_dt->rank == 1 && log_dt->shape[0] == h, log_dt, name, "steps of the poles' systems [H]");
    require(B->rank == 3 && B->shape[0] == h && B->shape[1] == n && B->shape[2] == 2, B, name,
            "inputs [H, N, 2]");
    require(P->rank == 4 && P->shape[0] == h && P->shape[1] <= MOST_RANKS && P->shape[2] == n &&
                P->shape[3] == 2,
            P, name, "at most 8 columns [H, R, N, 2]");
    require(C->rank == 4 && C->shape[0] == h && C->shape[1] <= MOST_CHANNELS && C->shape[2] == n &&
                C->shape[3] == 2,
            C, name, "at most 64 outputs [H, M, N, 2]");
    require(length > 0, A, name, "a positive length");
    struct spectrum c = {h,
                         n,
                         P->shape[1],
                         C->shape[1],
                         length,
                         length / 2 + 1,
                         C->shape[1] + P->shape[1],
                         1 + P->shape[1],
                         (C->shape[1] + P->shape[1]) * (1 + P->shape[1])};
    tensor *inputs[] = {tensor_contiguous(log_dt), tensor_contiguous(A), tensor_contiguous(B),
                        tensor_contiguous(P), tensor_contiguous(C)};
    tensor *y = node_create(A->graph, &spectrum_operation, 4, SHAPE(h, c.channels, c.frequencies, 2), 5,
                            inputs, &c, sizeof c);
    node_count(y, work_of(&c), -1);
    return y;
}
