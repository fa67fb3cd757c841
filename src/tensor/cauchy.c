/* Sums of simple fractions in conjugate pairs at the roots of unity: the Cauchy kernel of diagonal-plus-low-rank state spaces.
 *
 * With p = 2 i sin(theta / 2) and g = cos(theta / 2) a pair is
 *     q / (p - a g) + conj(q) / (p - conj(a) g) = (2 Re(q) p - 2 Re(q conj(a)) g) / (p^2 - 2 Re(a) p g + |a|^2 g^2),
 * in which only real numbers depend on q and a. */
#include "tensor/operation.h"
#include <math.h>
#include <string.h>

enum { PIECE = 128 }; /* frequencies whose reciprocals stay in the first-level cache */

/* q [systems, sums, modes], a [systems, modes], both complex; y [systems, sums, frequencies]. */
struct cauchy {
    int64_t systems, sums, modes, length, frequencies;
};

/* 1 / denominator of one mode at some frequencies. */
struct reciprocals {
    int64_t count;
    real sine[PIECE], cosine[PIECE], re[PIECE], im[PIECE];
};

static void set_frequencies(const struct cauchy *c, int64_t first, struct reciprocals *t)
{
    t->count = c->frequencies - first < PIECE ? c->frequencies - first : PIECE;
    for (int64_t k = 0; k < t->count; k++) {
        double half = M_PI * (double)(first + k) / (double)c->length;
        t->sine[k] = (real)(2 * sin(half));
        t->cosine[k] = (real)cos(half);
    }
    if (2 * (first + t->count - 1) == c->length)
        t->cosine[t->count - 1] = 0;
}

static void invert(struct reciprocals *restrict t, real a_re, real a_im)
{
    real square = a_re * a_re + a_im * a_im;
    for (int64_t k = 0; k < t->count; k++) {
        real s = t->sine[k], g = t->cosine[k], re = square * g * g - s * s, im = -2 * a_re * s * g;
        real scale = 1 / (re * re + im * im);
        t->re[k] = re * scale;
        t->im[k] = -im * scale;
    }
}

/* y += (-2 alpha g + 2 i beta s) t */
static void add_pair(const struct reciprocals *restrict t, real alpha, real beta, real *restrict y)
{
    for (int64_t k = 0; k < t->count; k++) {
        real re = -2 * alpha * t->cosine[k], im = 2 * beta * t->sine[k];
        y[2 * k] += re * t->re[k] - im * t->im[k];
        y[2 * k + 1] += re * t->im[k] + im * t->re[k];
    }
}

static double work_of(const struct cauchy *c)
{
    return (double)(c->systems * c->modes * c->frequencies) * (12 + 8 * (double)c->sums);
}

static void cauchy_forward(tensor *y)
{
    const struct cauchy *c = y->attributes;
    const real *q = y->inputs[0]->data, *a = y->inputs[1]->data;
    memset(y->data, 0, (size_t)tensor_size(y) * sizeof *y->data);
#pragma omp parallel for num_threads(threads_for(work_of(c))) schedule(static)
    for (int64_t h = 0; h < c->systems; h++)
        for (int64_t first = 0; first < c->frequencies; first += PIECE) {
            struct reciprocals t;
            set_frequencies(c, first, &t);
            for (int64_t n = 0; n < c->modes; n++) {
                const real *an = a + (h * c->modes + n) * 2;
                invert(&t, an[0], an[1]);
                for (int64_t j = 0; j < c->sums; j++) {
                    const real *qn = q + ((h * c->sums + j) * c->modes + n) * 2;
                    real *to = y->data + ((h * c->sums + j) * c->frequencies + first) * 2;
                    add_pair(&t, qn[0] * an[0] + qn[1] * an[1], qn[0], to);
                }
            }
        }
}

/* Derivatives of one pair: to alpha, beta, and through the denominator to Re(a) and |a|^2. */
struct slopes {
    double alpha, beta, real_part, square;
};

static struct slopes pair_slopes(const struct reciprocals *restrict t, real alpha, real beta,
                                 const real *restrict dy)
{
    real d_alpha = 0, d_beta = 0, d_real = 0, d_square = 0;
    for (int64_t k = 0; k < t->count; k++) {
        real s = t->sine[k], g = t->cosine[k], re = t->re[k], im = t->im[k], up = dy[2 * k],
             vp = dy[2 * k + 1];
        d_alpha -= 2 * g * (up * re + vp * im);
        d_beta += 2 * s * (vp * re - up * im);
        /* dy against -numerator t^2 */
        real n_re = -2 * alpha * g, n_im = 2 * beta * s, v_re = n_re * re - n_im * im,
             v_im = n_re * im + n_im * re;
        real w_re = -(v_re * re - v_im * im), w_im = -(v_re * im + v_im * re);
        d_square += g * g * (up * w_re + vp * w_im);
        d_real -= 2 * s * g * (vp * w_re - up * w_im);
    }
    return (struct slopes){(double)d_alpha, (double)d_beta, (double)d_real, (double)d_square};
}

static void backward_mode(const struct cauchy *c, int64_t h, int64_t n, const struct reciprocals *t,
                          int64_t first, const real *q, const real *a, const real *dy, real *dq, real *da)
{
    const real *an = a + (h * c->modes + n) * 2;
    for (int64_t j = 0; j < c->sums; j++) {
        int64_t at = ((h * c->sums + j) * c->modes + n) * 2;
        const real *qn = q + at;
        struct slopes d = pair_slopes(t, qn[0] * an[0] + qn[1] * an[1], qn[0],
                                      dy + ((h * c->sums + j) * c->frequencies + first) * 2);
        if (dq) {
            dq[at] += (real)(d.beta + (double)an[0] * d.alpha);
            dq[at + 1] += (real)((double)an[1] * d.alpha);
        }
        if (da) {
            real *to = da + (h * c->modes + n) * 2;
            to[0] += (real)((double)qn[0] * d.alpha + d.real_part + 2 * (double)an[0] * d.square);
            to[1] += (real)((double)qn[1] * d.alpha + 2 * (double)an[1] * d.square);
        }
    }
}

static void cauchy_backward(tensor *y)
{
    const struct cauchy *c = y->attributes;
    const real *q = y->inputs[0]->data, *a = y->inputs[1]->data, *dy = output_gradient(y);
    real *dq = input_gradient(y, 0), *da = input_gradient(y, 1);
#pragma omp parallel for num_threads(threads_for(2 * work_of(c))) schedule(static)
    for (int64_t h = 0; h < c->systems; h++)
        for (int64_t first = 0; first < c->frequencies; first += PIECE) {
            struct reciprocals t;
            set_frequencies(c, first, &t);
            for (int64_t n = 0; n < c->modes; n++) {
                invert(&t, a[(h * c->modes + n) * 2], a[(h * c->modes + n) * 2 + 1]);
                backward_mode(c, h, n, &t, first, q, a, dy, dq, da);
            }
        }
}

static const struct operation cauchy_operation = {"cauchy", cauchy_forward, cauchy_backward,
                                                  SAVES_INPUT(0) | SAVES_INPUT(1), false};

tensor *tensor_cauchy(tensor *q, tensor *a, int64_t length)
{
    const char *name = cauchy_operation.name;
    require(q->rank == 4 && q->shape[3] == 2, q, name, "numerators [H, J, N, 2]");
    require(a->rank == 3 && a->shape[2] == 2 && a->shape[0] == q->shape[0] && a->shape[1] == q->shape[2], a,
            name, "poles [H, N, 2] of the numerators' H and N");
    require(length > 0, q, name, "a positive length");
    struct cauchy c = {q->shape[0], q->shape[1], q->shape[2], length, length / 2 + 1};
    tensor *inputs[] = {tensor_contiguous(q), tensor_contiguous(a)};
    tensor *y = node_create(q->graph, &cauchy_operation, 4, SHAPE(c.systems, c.sums, c.frequencies, 2), 2,
                            inputs, &c, sizeof c);
    node_count(y, work_of(&c), -1);
    return y;
}
