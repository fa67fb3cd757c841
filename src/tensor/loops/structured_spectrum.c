#include "tensor/loops/structured_spectrum.h"

static void invert(struct spectrum_piece *restrict t, double real_part, double square)
{
#pragma omp simd
    for (int64_t k = 0; k < t->count; k++) {
        double s = t->sine[k], g = t->cosine[k], re = square * g * g - s * s, im = -2 * real_part * s * g;
        double scale = 1 / (re * re + im * im);
        t->re[k] = re * scale;
        t->im[k] = -im * scale;
    }
}

static void add_pair(const struct spectrum_piece *restrict t, double alpha, double beta,
                     double *restrict sum_re, double *restrict sum_im)
{
#pragma omp simd
    for (int64_t k = 0; k < t->count; k++) {
        double re = -2 * alpha * t->cosine[k], im = 2 * beta * t->sine[k];
        sum_re[k] += re * t->re[k] - im * t->im[k];
        sum_im[k] += re * t->im[k] + im * t->re[k];
    }
}

static void pair_backward(const struct spectrum_piece *restrict t, double alpha, double beta,
                          const double *restrict u, const double *restrict v, struct pair_slopes *slopes)
{
    double d_alpha = 0, d_beta = 0, d_real = 0, d_square = 0;
#pragma omp simd reduction(+ : d_alpha, d_beta, d_real, d_square)
    for (int64_t k = 0; k < t->count; k++) {
        double s = t->sine[k], g = t->cosine[k], re = t->re[k], im = t->im[k];
        d_alpha -= 2 * g * (u[k] * re + v[k] * im);
        d_beta += 2 * s * (v[k] * re - u[k] * im);
        /* The gradient against -numerator / D^2. */
        double n_re = -2 * alpha * g, n_im = 2 * beta * s, v_re = n_re * re - n_im * im,
               v_im = n_re * im + n_im * re;
        double w_re = -(v_re * re - v_im * im), w_im = -(v_re * im + v_im * re);
        d_square += g * g * (u[k] * w_re + v[k] * w_im);
        d_real -= 2 * s * g * (v[k] * w_re - u[k] * w_im);
    }
    slopes->alpha += d_alpha;
    slopes->beta += d_beta;
    slopes->real_part += d_real;
    slopes->square += d_square;
}

LOOPS_TABLE(struct structured_spectrum_loops, structured_spectrum_loops) = {invert, add_pair, pair_backward};
