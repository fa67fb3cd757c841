#include "tensor/loops/rotary.h"
#include "tensor/vector_math.h"

static void table(int64_t pairs, const real *restrict angles, real *restrict cosine, real *restrict sine)
{
#pragma omp simd
    for (int64_t i = 0; i < pairs; i++)
        real_sine_cosine(angles[i], &sine[i], &cosine[i]);
}

/* Called with constant steps, so that each form vectorises by itself. */
static inline void turn_by(int64_t pairs, int64_t step, int64_t second, const real *restrict c,
                           const real *restrict s, const real *restrict x, real *restrict y)
{
#pragma omp simd
    for (int64_t i = 0; i < pairs; i++) {
        real a = x[i * step], b = x[i * step + second];
        y[i * step] = a * c[i] - b * s[i];
        y[i * step + second] = a * s[i] + b * c[i];
    }
}

static inline void turn_back_by(int64_t pairs, int64_t step, int64_t second, const real *restrict c,
                                const real *restrict s, const real *restrict dy, real *restrict dx)
{
#pragma omp simd
    for (int64_t i = 0; i < pairs; i++) {
        real a = dy[i * step], b = dy[i * step + second];
        dx[i * step] += a * c[i] + b * s[i];
        dx[i * step + second] += b * c[i] - a * s[i];
    }
}

static inline void angle_gradient_by(int64_t pairs, int64_t step, int64_t second, const real *restrict c,
                                     const real *restrict s, const real *restrict x, const real *restrict dy,
                                     real *restrict dangles)
{
#pragma omp simd
    for (int64_t i = 0; i < pairs; i++) {
        real a = x[i * step], b = x[i * step + second];
        dangles[i] += dy[i * step + second] * (a * c[i] - b * s[i]) - dy[i * step] * (a * s[i] + b * c[i]);
    }
}

static void turn(int64_t pairs, bool interleaved, const real *c, const real *s, const real *x, real *y)
{
    if (interleaved)
        turn_by(pairs, 2, 1, c, s, x, y);
    else
        turn_by(pairs, 1, pairs, c, s, x, y);
}

static void turn_back(int64_t pairs, bool interleaved, const real *c, const real *s, const real *dy, real *dx)
{
    if (interleaved)
        turn_back_by(pairs, 2, 1, c, s, dy, dx);
    else
        turn_back_by(pairs, 1, pairs, c, s, dy, dx);
}

static void angle_gradient(int64_t pairs, bool interleaved, const real *c, const real *s, const real *x,
                           const real *dy, real *dangles)
{
    if (interleaved)
        angle_gradient_by(pairs, 2, 1, c, s, x, dy, dangles);
    else
        angle_gradient_by(pairs, 1, pairs, c, s, x, dy, dangles);
}

LOOPS_TABLE(struct rotary_loops, rotary_loops) = {
    .table = table,
    .turn = turn,
    .turn_back = turn_back,
    .angle_gradient = angle_gradient,
};
