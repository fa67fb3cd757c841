#include "tensor/loops/pointwise.h"
#include "tensor/vector_math.h"

static inline real real_silu_slope(real x)
{
    real s = real_sigmoid(x);
    return s * (1 + x * (1 - s));
}

static inline real real_normal_density(real x)
{
    return REAL(0.39894228040143268) * real_exp_below(REAL(-0.5) * x * x);
}

/* (1 + tanh(u)) / 2 = sigmoid(2 u): without the cancellation of the published form. */
static inline real gelu_tanh_gate(real x)
{
    return real_sigmoid(REAL(1.5957691216057308) * (x + REAL(0.044715) * x * x * x));
}

static inline real real_gelu_tanh_slope(real x)
{
    real s = gelu_tanh_gate(x);
    return s + x * s * (1 - s) * REAL(1.5957691216057308) * (1 + 3 * REAL(0.044715) * x * x);
}

#define UNARY_LOOPS(name, value, slope, reads)                                                        \
    static void name##_loop(int64_t n, const real *xs, real *ys, const double *given)                 \
    {                                                                                                 \
        const double p[] = {given[0], given[1]}; /* which nothing written here can change */          \
        (void)p;                                                                                      \
        _Pragma("omp simd") for (int64_t i = 0; i < n; i++)                                           \
        {                                                                                             \
            real x = xs[i];                                                                           \
            ys[i] = (value);                                                                          \
        }                                                                                             \
    }                                                                                                 \
    static void name##_backward_loop(int64_t n, const real *restrict xs, const real *restrict ys,     \
                                     const real *restrict dy, real *restrict dx, const double *given) \
    {                                                                                                 \
        const double p[] = {given[0], given[1]}; /* which nothing written here can change */          \
        (void)p;                                                                                      \
        _Pragma("omp simd") for (int64_t i = 0; i < n; i++)                                           \
        {                                                                                             \
            real x = (reads)&READS_X ? xs[i] : 0, y = (reads)&READS_Y ? ys[i] : 0;                    \
            (void)x, (void)y;                                                                         \
            dx[i] += dy[i] * (slope);                                                                 \
        }                                                                                             \
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

/* Inlined for each combination of steps, so that each vectorises. */
static inline void choose(int64_t n, const real *condition, int64_t step, const real *a, int64_t a_step,
                          const real *b, int64_t b_step, real *y)
{
    real a0 = *a, b0 = *b, c0 = *condition; /* y may take the storage of one of them */
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        real yes = a_step ? a[i] : a0, no = b_step ? b[i] : b0;
        y[i] = (step ? condition[i] : c0) != 0 ? yes : no;
    }
}

static void where(int64_t n, const real *condition, int64_t step, const real *a, int64_t a_step,
                  const real *b, int64_t b_step, real *y)
{
    if (n == 0)
        return;
    if (!step)
        choose(n, condition, 0, a, a_step, b, b_step, y);
    else if (a_step && b_step)
        choose(n, condition, 1, a, 1, b, 1, y);
    else if (a_step)
        choose(n, condition, 1, a, 1, b, 0, y);
    else if (b_step)
        choose(n, condition, 1, a, 0, b, 1, y);
    else
        choose(n, condition, 1, a, 0, b, 0, y);
}

static void where_backward(int64_t n, const real *restrict condition, int64_t step, bool chosen,
                           const real *restrict dy, real *restrict d, int64_t d_step)
{
    if (!step && n > 0 && (*condition != 0) != chosen)
        return;
    real sum = 0;
    if (d_step)
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            d[i] += (condition[i * step] != 0) == chosen ? dy[i] : 0;
    else
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < n; i++)
            sum += (condition[i * step] != 0) == chosen ? dy[i] : 0;
    if (!d_step)
        d[0] += sum;
}

#define UNARY_ENTRY(name, ...) [UNARY_##name] = name##_loop,
#define UNARY_BACKWARD_ENTRY(name, ...) [UNARY_##name] = name##_backward_loop,
#define BINARY_ENTRY(name, ...) [BINARY_##name] = name##_loop,
#define BINARY_BACKWARD_ENTRY(name, ...) [BINARY_##name] = name##_backward_loop,
LOOPS_TABLE(struct pointwise_loops, pointwise_loops) = {
    {UNARY_LIST(UNARY_ENTRY)},
    {UNARY_LIST(UNARY_BACKWARD_ENTRY)},
    {BINARY_LIST(BINARY_ENTRY)},
    {BINARY_LIST(BINARY_BACKWARD_ENTRY)},
    where,
    where_backward,
};
