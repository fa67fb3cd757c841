#include "tensor/loops/pointwise.h"
#include "tensor/vector_math.h"

static inline real real_silu_slope(real x)
{
    real s = real_sigmoid(x);
    return s * (1 + x * (1 - s));
}

static inline real real_normal_cdf(real x)
{
    return REAL(0.5) * (1 + real_erf(x * REAL(0.70710678118654752)));
}

static inline real real_normal_density(real x)
{
    return REAL(0.39894228040143268) * real_exp(REAL(-0.5) * x * x);
}

static inline real real_gelu_tanh(real x)
{
    return REAL(0.5) * x * (1 + real_tanh(REAL(0.79788456080286536) * (x + REAL(0.044715) * x * x * x)));
}

static inline real real_gelu_tanh_slope(real x)
{
    real t = real_tanh(REAL(0.79788456080286536) * (x + REAL(0.044715) * x * x * x));
    return REAL(0.5) * (1 + t) +
           REAL(0.5) * x * (1 - t * t) * REAL(0.79788456080286536) * (1 + 3 * REAL(0.044715) * x * x);
}

#define UNARY_LOOPS(name, value, slope, reads)                                                    \
    static void name##_loop(int64_t n, const real *xs, real *ys, const double *p)                 \
    {                                                                                             \
        (void)p;                                                                                  \
        _Pragma("omp simd") for (int64_t i = 0; i < n; i++)                                       \
        {                                                                                         \
            real x = xs[i];                                                                       \
            ys[i] = (value);                                                                      \
        }                                                                                         \
    }                                                                                             \
    static void name##_backward_loop(int64_t n, const real *restrict xs, const real *restrict ys, \
                                     const real *restrict dy, real *restrict dx, const double *p) \
    {                                                                                             \
        (void)p;                                                                                  \
        _Pragma("omp simd") for (int64_t i = 0; i < n; i++)                                       \
        {                                                                                         \
            real x = (reads)&READS_X ? xs[i] : 0, y = (reads)&READS_Y ? ys[i] : 0;                \
            (void)x, (void)y;                                                                     \
            dx[i] += dy[i] * (slope);                                                             \
        }                                                                                         \
    }
UNARY_LIST(UNARY_LOOPS)

/* One loop for each pair of steps, so that each vectorises. */
#define BINARY_CASE(value, A, B)                        \
    _Pragma("omp simd") for (int64_t i = 0; i < n; i++) \
    {                                                   \
        real a = A, b = B;                              \
        ys[i] = (value);                                \
    }
#define BINARY_LOOPS(name, value, slope_a, slope_b, reads)                                             \
    static void name##_loop(int64_t n, const real *as, int64_t a_step, const real *bs, int64_t b_step, \
                            real *ys)                                                                  \
    {                                                                                                  \
        if (a_step && b_step) {                                                                        \
            BINARY_CASE(value, as[i], bs[i])                                                           \
        } else if (a_step) {                                                                           \
            real constant = *bs;                                                                       \
            BINARY_CASE(value, as[i], constant)                                                        \
        } else {                                                                                       \
            real constant = *as;                                                                       \
            BINARY_CASE(value, constant, bs[i * b_step])                                               \
        }                                                                                              \
    }                                                                                                  \
    static void name##_backward_loop(int64_t n, const real *restrict as, int64_t a_step,               \
                                     const real *restrict bs, int64_t b_step, const real *restrict dy, \
                                     real *restrict da, real *restrict db)                             \
    {                                                                                                  \
        real da_sum = 0, db_sum = 0;                                                                   \
        if (da && a_step)                                                                              \
            _Pragma("omp simd") for (int64_t i = 0; i < n; i++)                                        \
            {                                                                                          \
                real a = (reads) ? as[i] : 0, b = (reads) ? bs[i * b_step] : 0;                        \
                (void)a, (void)b;                                                                      \
                da[i] += dy[i] * (slope_a);                                                            \
            }                                                                                          \
        else if (da) {                                                                                 \
            _Pragma("omp simd reduction(+ : da_sum)") for (int64_t i = 0; i < n; i++)                  \
            {                                                                                          \
                real a = (reads) ? as[0] : 0, b = (reads) ? bs[i * b_step] : 0;                        \
                (void)a, (void)b;                                                                      \
                da_sum += dy[i] * (slope_a);                                                           \
            }                                                                                          \
            da[0] += da_sum;                                                                           \
        }                                                                                              \
        if (db && b_step)                                                                              \
            _Pragma("omp simd") for (int64_t i = 0; i < n; i++)                                        \
            {                                                                                          \
                real a = (reads) ? as[i * a_step] : 0, b = (reads) ? bs[i] : 0;                        \
                (void)a, (void)b;                                                                      \
                db[i] += dy[i] * (slope_b);                                                            \
            }                                                                                          \
        else if (db) {                                                                                 \
            _Pragma("omp simd reduction(+ : db_sum)") for (int64_t i = 0; i < n; i++)                  \
            {                                                                                          \
                real a = (reads) ? as[i * a_step] : 0, b = (reads) ? bs[0] : 0;                        \
                (void)a, (void)b;                                                                      \
                db_sum += dy[i] * (slope_b);                                                           \
            }                                                                                          \
            db[0] += db_sum;                                                                           \
        }                                                                                              \
    }
BINARY_LIST(BINARY_LOOPS)

#define UNARY_ENTRY(name, ...) [UNARY_##name] = name##_loop,
#define UNARY_BACKWARD_ENTRY(name, ...) [UNARY_##name] = name##_backward_loop,
#define BINARY_ENTRY(name, ...) [BINARY_##name] = name##_loop,
#define BINARY_BACKWARD_ENTRY(name, ...) [BINARY_##name] = name##_backward_loop,
LOOPS_TABLE(struct pointwise_loops, pointwise_loops) = {
    {UNARY_LIST(UNARY_ENTRY)},
    {UNARY_LIST(UNARY_BACKWARD_ENTRY)},
    {BINARY_LIST(BINARY_ENTRY)},
    {BINARY_LIST(BINARY_BACKWARD_ENTRY)},
};
