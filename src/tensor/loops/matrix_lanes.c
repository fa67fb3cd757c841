#include "tensor/loops/matrix_lanes.h"
#include "tensor/loops/matrix_panel.h"
#include "tensor/vector_math.h"
#include <stddef.h>

TEMPLATE void gather_lanes(int64_t tokens, int64_t first, int64_t lanes, real scale,
                           const real *const *source, real *restrict x)
{
    for (int64_t t = 0; t < tokens; t++, x += PANEL) {
        const real *restrict from = source[t] + first;
#pragma omp simd
        for (int64_t j = 0; j < lanes; j++)
            x[j] = scale * from[j];
        for (int64_t j = lanes; j < PANEL; j++)
            x[j] = 0;
    }
}

static void gather(int64_t tokens, int64_t first, int64_t lanes, real scale, const real *const *source,
                   real *x)
{
    if (lanes == PANEL)
        gather_lanes(tokens, first, PANEL, scale, source, x);
    else
        gather_lanes(tokens, first, lanes, scale, source, x);
}

static void lane_factors(int64_t tokens, int64_t first, int64_t lanes, bool scalar,
                         const real *const *log_decay, real *restrict factors)
{
    for (int64_t t = 0; t < tokens; t++, factors += PANEL) {
        real common = 1;
        if (scalar) {
            common = real_exp_below(log_decay[t][0]);
            lanes = 0;
        }
        const real *restrict from = log_decay[t] + first;
#pragma omp simd
        for (int64_t j = 0; j < lanes; j++)
            factors[j] = real_exp_below(from[j]);
        for (int64_t j = lanes; j < PANEL; j++)
            factors[j] = common;
    }
}

TEMPLATE void emit_lanes(int64_t tokens, int64_t first, int64_t lanes, const real *restrict out, real scale,
                         const real *diagonal, const real *const *x, const real *weight, bool add,
                         real *const *target)
{
    for (int64_t t = 0; t < tokens; t++, out += PANEL) {
        real *restrict to = target[t] + first;
        const real *restrict from = diagonal ? x[t] + first : NULL, *restrict u =
                                                                        weight ? weight + first : NULL;
#pragma omp simd
        for (int64_t j = 0; j < lanes; j++) {
            real own = diagonal ? diagonal[t] * from[j] : 0;
            real value = scale * (out[j] + (weight ? u[j] * own : own));
            to[j] = add ? to[j] + value : value;
        }
    }
}

TEMPLATE void emit_to(int64_t tokens, int64_t first, int64_t lanes, const real *out, real scale,
                      const real *diagonal, const real *const *x, const real *weight, bool add,
                      real *const *target)
{
    if (lanes == PANEL)
        emit_lanes(tokens, first, PANEL, out, scale, diagonal, x, weight, add, target);
    else
        emit_lanes(tokens, first, lanes, out, scale, diagonal, x, weight, add, target);
}

static void emit(int64_t tokens, int64_t first, int64_t lanes, const real *out, real scale,
                 const real *diagonal, const real *const *x, const real *weight, bool add,
                 real *const *target)
{
    if (diagonal && weight && add)
        emit_to(tokens, first, lanes, out, scale, diagonal, x, weight, true, target);
    else if (diagonal && add)
        emit_to(tokens, first, lanes, out, scale, diagonal, x, NULL, true, target);
    else if (diagonal)
        emit_to(tokens, first, lanes, out, scale, diagonal, x, NULL, false, target);
    else if (add)
        emit_to(tokens, first, lanes, out, scale, NULL, NULL, NULL, true, target);
    else
        emit_to(tokens, first, lanes, out, scale, NULL, NULL, NULL, false, target);
}

TEMPLATE void clock_lanes(int64_t tokens, int64_t first, int64_t lanes, bool scalar, const real *restrict out,
                          real scale, const real *const *self, bool add, real *const *target)
{
    for (int64_t t = 0; t < tokens; t++, out += PANEL) {
        const real *restrict own = self[t] + first;
        if (scalar) {
            real sum = 0;
#pragma omp simd reduction(+ : sum)
            for (int64_t j = 0; j < lanes; j++)
                sum += own[j] * out[j];
            target[t][0] = (add ? target[t][0] : 0) + scale * sum;
        } else {
            real *restrict to = target[t] + first;
#pragma omp simd
            for (int64_t j = 0; j < lanes; j++)
                to[j] = (add ? to[j] : 0) + scale * (own[j] * out[j]);
        }
    }
}

static void clock(int64_t tokens, int64_t first, int64_t lanes, bool scalar, const real *out, real scale,
                  const real *const *self, bool add, real *const *target)
{
    if (scalar || lanes < PANEL)
        clock_lanes(tokens, first, lanes, scalar, out, scale, self, add, target);
    else if (add)
        clock_lanes(tokens, first, PANEL, false, out, scale, self, true, target);
    else
        clock_lanes(tokens, first, PANEL, false, out, scale, self, false, target);
}

static void weight_gradient(int64_t tokens, int64_t first, int64_t lanes, const real *diagonal, real scale,
                            const real *const *x, const real *const *self, real *restrict target)
{
    for (int64_t t = 0; t < tokens; t++) {
        const real *restrict from = x[t] + first, *restrict own = self[t] + first;
        real factor = scale * diagonal[t];
#pragma omp simd
        for (int64_t j = 0; j < lanes; j++)
            target[first + j] += factor * from[j] * own[j];
    }
}

static void delta_gradients(int64_t tokens, int64_t first, int64_t lanes, const real *restrict du,
                            const real *beta, real *const *error, real *const *dr, real *const *dv,
                            real *const *dbeta)
{
    for (int64_t t = 0; t < tokens; t++, du += PANEL) {
        real *restrict e = error[t] + first, *restrict r = dr[t] + first;
        real b = beta[t], sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t j = 0; j < lanes; j++) {
            sum += du[j] * e[j];
            e[j] *= b;
            r[j] = -b * du[j];
        }
        if (dbeta)
            dbeta[t][0] += sum;
        if (dv) {
            real *restrict to = dv[t] + first;
#pragma omp simd
            for (int64_t j = 0; j < lanes; j++)
                to[j] += b * du[j];
        }
    }
}

static void add_wide(int64_t n, const real *restrict x, double *restrict sum)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        sum[i] += (double)x[i];
}

static void add_narrow(int64_t n, const double *restrict sum, real *restrict x)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        x[i] += (real)sum[i];
}

LOOPS_TABLE(struct matrix_lane_loops, matrix_lane_loops) = {
    .gather = gather,
    .lane_factors = lane_factors,
    .emit = emit,
    .clock = clock,
    .weight_gradient = weight_gradient,
    .delta_gradients = delta_gradients,
    .add_wide = add_wide,
    .add_narrow = add_narrow,
};
