/* structured-system.h: S4's state space of diagonal plus low rank, M = diag(a) - p p^* of conjugate pairs,
 * one half of which is stored (s4, section 3; httyh), and the same in real numbers. H channels, N/2 pairs,
 * rank R. */
#ifndef CLADE_KERNELS_STRUCTURED_SYSTEM_H
#define CLADE_KERNELS_STRUCTURED_SYSTEM_H

#include "block/modes.h"
#include "block/system.h"
#include "structured-start.h"

/* The continuous system of each channel. */
struct structured {
    tensor *log_dt; /* [H] */
    struct pair a;  /* [H, N/2] */
    struct pair b;  /* [H, 1, N/2] */
    struct pair p;  /* [H, R, N/2] */
    struct pair c;  /* [H, channels, N/2] */
};

/* [K, S, N/2, 2] as pairs [H, K, N/2], channel h using set h mod S. */
static inline struct pair structured_channels(tensor *x, int64_t width)
{
    struct pair parts = pair_of(tensor_transpose(x, 0, 1));
    return pair_repeated(parts, 0, width / parts.real->shape[0]);
}

static inline struct structured structured_system(struct scope *s)
{
    int64_t width = s->width, n = option(s, "state") / 2, sets = option_or(s, "systems", width);
    struct structured m;
    tensor *inv_dt = parameter(s, "layer.kernel.inv_dt", init_function(fill_log_steps), 2, SHAPE(width, 1));
    tensor *log_real =
        parameter(s, "layer.kernel.A_real", init_function(fill_structured_decay), 2, SHAPE(sets, n));
    tensor *imaginary =
        parameter(s, "layer.kernel.A_imag", init_function(fill_structured_frequency), 2, SHAPE(sets, n));
    m.log_dt = tensor_reshape(inv_dt, 1, SHAPE(width));
    m.a = pair_repeated((struct pair){tensor_negate(tensor_exp(log_real)), tensor_negate(imaginary)}, 0,
                        width / sets);
    m.b = structured_channels(
        parameter(s, "layer.kernel.B", init_function(fill_structured_input), 4, SHAPE(1, sets, n, 2)), width);
    m.p = structured_channels(parameter(s, "layer.kernel.P", init_function(fill_structured_low_rank), 4,
                                        SHAPE(option(s, "rank"), sets, n, 2)),
                              width);
    m.c = structured_channels(
        parameter(s, "layer.kernel.C", init_normal(sqrt(0.5)), 4, SHAPE(option(s, "channels"), width, n, 2)),
        width);
    return m;
}

static inline tensor *structured_columns(struct pair x) /* [H, K, N/2] -> [H, K, N] */
{
    return tensor_concat(2, (tensor *[]){x.real, x.imaginary}, 2);
}

/* By the bilinear rule, in (real parts, imaginary parts) of the half. */
static inline struct system structured_discretised(struct scope *s, const struct structured *m)
{
    int64_t width = s->width, n = m->a.real->shape[1];
    tensor *one = identity_matrix(s->graph, n);
    tensor *re = tensor_multiply(tensor_reshape(m->a.real, 3, SHAPE(width, n, 1)), one);
    tensor *im = tensor_multiply(tensor_reshape(m->a.imaginary, 3, SHAPE(width, n, 1)), one);
    tensor *top = tensor_concat(2, (tensor *[]){re, tensor_negate(im)}, 2);
    tensor *turning = tensor_concat(2, (tensor *[]){top, tensor_concat(2, (tensor *[]){im, re}, 2)}, 1);
    tensor *p = structured_columns(m->p), *b = tensor_transpose(structured_columns(m->b), 1, 2);
    tensor *matrix = tensor_subtract(turning, tensor_scale(tensor_matmul_tn(p, p), 2));
    tensor *c = tensor_scale(structured_columns(pair_conjugate(m->c)), 2);
    return system_bilinear(matrix, b, c, tensor_reshape(tensor_exp(m->log_dt), 3, SHAPE(width, 1, 1)));
}

/* C (1 - A'^L) of such a system, as pairs again. */
static inline struct pair structured_truncation(const struct system *system, int64_t length)
{
    int64_t n = system->A->shape[1] / 2;
    tensor *c = tensor_subtract(system->c, tensor_matmul(system->c, matrix_power(system->A, length)));
    c = tensor_scale(c, 0.5);
    return (struct pair){tensor_slice(c, 2, 0, n), tensor_negate(tensor_slice(c, 2, n, n))};
}

#endif
