/* pointwise.h: the unary and binary functions, each with its derivative, as one list from which the loops,
 * the operations and the public functions are made. */
#ifndef CLADE_TENSOR_LOOPS_POINTWISE_H
#define CLADE_TENSOR_LOOPS_POINTWISE_H

#include "tensor/loops/loops.h"
#include <stdbool.h>

/* UNARY(name, y in terms of x, dy/dx in terms of x and y, what the derivative reads); p[0], p[1] are
 * parameters. */
#define READS_NOTHING 0u
#define READS_X (1u << 0)  /* SAVES_INPUT(0) */
#define READS_Y (1u << 31) /* SAVES_OUTPUT */
#define FLAT (1u << 30)    /* piecewise constant: no gradient passes */
#define REAL(x) ((real)(x))
#define UNARY_LIST(UNARY)                                                                               \
    UNARY(affine, REAL(p[0]) * x + REAL(p[1]), REAL(p[0]), READS_NOTHING)                               \
    UNARY(exp, real_exp(x), y, READS_Y)                                                                 \
    UNARY(expm1, real_expm1(x), y + 1, READS_Y)                                                         \
    UNARY(log, real_log(x), 1 / x, READS_X)                                                             \
    UNARY(log1p, real_log1p(x), 1 / (1 + x), READS_X)                                                   \
    UNARY(sqrt, real_sqrt(x), REAL(0.5) / y, READS_Y)                                                   \
    UNARY(reciprocal_sqrt, 1 / real_sqrt(x), REAL(-0.5) * y * y * y, READS_Y)                           \
    UNARY(reciprocal, 1 / x, -y * y, READS_Y)                                                           \
    UNARY(square, x *x, 2 * x, READS_X)                                                                 \
    UNARY(absolute, real_absolute(x), x > 0 ? REAL(1) : (x < 0 ? REAL(-1) : REAL(0)), READS_X)          \
    UNARY(sin, real_sin(x), real_cos(x), READS_X)                                                       \
    UNARY(cos, real_cos(x), -real_sin(x), READS_X)                                                      \
    UNARY(arctan, REAL(atan((double)x)), 1 / (1 + x * x), READS_X)                                      \
    UNARY(tanh, real_tanh(x), 1 - y * y, READS_Y)                                                       \
    UNARY(sigmoid, real_sigmoid(x), y *(1 - y), READS_Y)                                                \
    UNARY(log_sigmoid, -real_softplus(-x), real_sigmoid(-x), READS_X)                                   \
    UNARY(softplus, real_softplus(x), real_sigmoid(x), READS_X)                                         \
    UNARY(silu, x *real_sigmoid(x), real_silu_slope(x), READS_X)                                        \
    UNARY(relu, x <= 0 ? REAL(0) : x, x > 0 ? REAL(1) : REAL(0), READS_X)                               \
    UNARY(gelu, x *real_normal_cdf(x), real_normal_cdf(x) + x * real_normal_density(x), READS_X)        \
    UNARY(gelu_tanh, x *gelu_tanh_gate(x), real_gelu_tanh_slope(x), READS_X)                            \
    UNARY(elu, x > 0 ? x : real_expm1(x > 0 ? REAL(0) : x), x > 0 ? REAL(1) : y + 1, READS_X | READS_Y) \
    UNARY(leaky_relu, x > 0 ? x : REAL(p[0]) * x, x > 0 ? REAL(1) : REAL(p[0]), READS_X)                \
    UNARY(erf, real_erf(x), REAL(1.1283791670955126) * real_exp(-x * x), READS_X)                       \
    UNARY(clamp, x < REAL(p[0]) ? REAL(p[0]) : (x > REAL(p[1]) ? REAL(p[1]) : x),                       \
          x >= REAL(p[0]) && x <= REAL(p[1]) ? REAL(1) : REAL(0), READS_X)                              \
    UNARY(raise, REAL(pow((double)x, p[0])), REAL(p[0] * pow((double)x, p[0] - 1)), READS_X)            \
    UNARY(sign, x > 0 ? REAL(1) : (x < 0 ? REAL(-1) : REAL(0)), REAL(0), FLAT)                          \
    UNARY(floor, REAL(floor((double)x)), REAL(0), FLAT)                                                 \
    UNARY(round, REAL(nearbyint((double)x)), REAL(0), FLAT)

/* BINARY(name, y in terms of a and b, dy/da, dy/db (of a, b and y), what they read). */
#define READS_AB (3u) /* SAVES_INPUT(0) | SAVES_INPUT(1) */
#define BINARY_LIST(BINARY)                                                                          \
    BINARY(add, a + b, REAL(1), REAL(1), READS_NOTHING)                                              \
    BINARY(subtract, a - b, REAL(1), REAL(-1), READS_NOTHING)                                        \
    BINARY(multiply, a *b, b, a, READS_AB)                                                           \
    BINARY(divide, a / b, 1 / b, -(a / b) / b, READS_AB)                                             \
    BINARY(maximum, a > b || a != a ? a : b, a >= b ? REAL(1) : REAL(0), a >= b ? REAL(0) : REAL(1), \
           READS_AB)                                                                                 \
    BINARY(minimum, a < b || a != a ? a : b, a <= b ? REAL(1) : REAL(0), a <= b ? REAL(0) : REAL(1), \
           READS_AB)                                                                                 \
    BINARY(power, REAL(pow((double)a, (double)b)), b *REAL(pow((double)a, (double)b - 1)),           \
           REAL(pow((double)a, (double)b) * log((double)a)), READS_AB)                               \
    BINARY(greater, a > b ? REAL(1) : REAL(0), REAL(0), REAL(0), FLAT)                               \
    BINARY(equal, a == b ? REAL(1) : REAL(0), REAL(0), REAL(0), FLAT)

#define UNARY_NAME(name, ...) UNARY_##name,
enum unary { UNARY_LIST(UNARY_NAME) UNARY_COUNT };
#define BINARY_NAME(name, ...) BINARY_##name,
enum binary { BINARY_LIST(BINARY_NAME) BINARY_COUNT };

struct pointwise_loops {
    /* y[i] = f(x[i]); contiguous; y may be x. */
    void (*unary[UNARY_COUNT])(int64_t n, const real *x, real *y, const double *p);
    /* dx[i] += dy[i] f'(x[i], y[i]); x and y are only read where the list says so (else may be NULL). */
    void (*unary_backward[UNARY_COUNT])(int64_t n, const real *x, const real *y, const real *dy, real *dx,
                                        const double *p);
    /* y[i] = f(a[i * a_step], b[i * b_step]) with steps 0 or 1. */
    void (*binary[BINARY_COUNT])(int64_t n, const real *a, int64_t a_step, const real *b, int64_t b_step,
                                 real *y);
    /* da[i * a_step] += dy[i] df/da and the same for b; da or db may be NULL. */
    void (*binary_backward[BINARY_COUNT])(int64_t n, const real *a, int64_t a_step, const real *b,
                                          int64_t b_step, const real *dy, real *da, real *db);
    /* y[i] = condition[i * step] ? a[i * a_step] : b[i * b_step], where not 0 is true. */
    void (*where)(int64_t n, const real *condition, int64_t step, const real *a, int64_t a_step,
                  const real *b, int64_t b_step, real *y);
    /* d[i * d_step] += dy[i] where the condition's truth is `chosen`. */
    void (*where_backward)(int64_t n, const real *condition, int64_t step, bool chosen, const real *dy,
                           real *d, int64_t d_step);
};

LOOPS_DECLARE(struct pointwise_loops, pointwise_loops)

#endif
