#include "tensor/loops/selective_scan.h"
#include "tensor/loops/vector.h"
#include "tensor/vector_math.h"

enum { L = SELECTIVE_LANES };

/* 2^x: 0 below 2^-126, infinity from 2^127. These powers are half of the work. */
static inline real power_of_two(real x)
{
#ifdef CLADE_DOUBLE
    return exp2(x);
#else
    float shifted = x + 12582912.f; /* 1.5 2^23: the whole part stands in the low bits */
    float r = x - (shifted - 12582912.f);
    float p = 1.53353620e-4f; /* minimax over [-1/2, 1/2], error 2e-9 */
    p = p * r + 1.33988745e-3f;
    p = p * r + 9.61843736e-3f;
    p = p * r + 5.55033247e-2f;
    p = p * r + 0.240226479f;
    p = p * r + 0.693147203f;
    p = p * r + 1.f;
    float result =
        float_from_bits((int32_t)((uint32_t)bits_of_float(p) + ((uint32_t)bits_of_float(shifted) << 23)));
    result = x < -126.f ? 0.f : result;
    return x > 126.9f ? INFINITY : result;
#endif
}

/* The block's channels of one row, zeros behind them. */
static inline void load(const real *row, int64_t width, real *restrict lanes)
{
    if (width == L) {
#pragma omp simd
        for (int c = 0; c < L; c++)
            lanes[c] = row[c];
    } else {
        for (int c = 0; c < L; c++)
            lanes[c] = c < width ? row[c] : 0;
    }
}

static inline void store(const real *restrict lanes, int64_t width, real *row)
{
    if (width == L) {
#pragma omp simd
        for (int c = 0; c < L; c++)
            row[c] = lanes[c];
    } else {
        for (int c = 0; c < width; c++)
            row[c] = lanes[c];
    }
}

static inline void add(const real *restrict lanes, int64_t width, real *row)
{
    if (width == L) {
#pragma omp simd
        for (int c = 0; c < L; c++)
            row[c] += lanes[c];
    } else {
        for (int c = 0; c < width; c++)
            row[c] += lanes[c];
    }
}

static inline void fetch(const struct selective_scan_block *k, int64_t t)
{
    if (t < k->ahead) {
        __builtin_prefetch(k->x + (k->steps + t) * k->x_stride);
        __builtin_prefetch(k->delta + (k->steps + t) * k->delta_stride);
    }
}

static inline void fetch_back(const struct selective_scan_block *k, const struct selective_scan_gradients *d,
                              int64_t t)
{
    t -= SELECTIVE_CHUNK;
    if (t + k->behind < 0)
        return;
    __builtin_prefetch(k->x + t * k->x_stride);
    __builtin_prefetch(k->delta + t * k->delta_stride);
    if (d->dy)
        __builtin_prefetch(d->dy + t * d->dy_stride);
    if (d->dx)
        __builtin_prefetch(d->dx + t * k->x_stride);
    if (d->ddelta)
        __builtin_prefetch(d->ddelta + t * k->delta_stride);
}

static void forward(const struct selective_scan_block *k, real *restrict h, real *y, int64_t y_stride)
{
    for (int64_t t = 0; t < k->steps; t++) {
        const real *B = k->B + t * k->B_stride, *C = k->C + t * k->C_stride;
        real x[L], delta[L], in[L], out[L] = {0};
        fetch(k, t);
        load(k->x + t * k->x_stride, k->width, x);
        load(k->delta + t * k->delta_stride, k->width, delta);
#pragma omp simd
        for (int c = 0; c < L; c++)
            in[c] = delta[c] * x[c];
        for (int64_t n = 0; n < k->states; n++) {
            const real *restrict A = k->A + n * L;
            real *restrict state = h + n * L, b = B[n], read = C[n];
#pragma omp simd
            for (int c = 0; c < L; c++) {
                state[c] = power_of_two(delta[c] * A[c]) * state[c] + in[c] * b;
                out[c] += state[c] * read;
            }
        }
        if (y)
            store(out, k->width, y + t * y_stride);
    }
}

/* The states before and after each step, and the steps' decays. */
static void hold(const struct selective_scan_block *k, const real *before, real *held, real *decays)
{
    int64_t size = k->states * L;
    for (int64_t i = 0; i < size; i++)
        held[i] = before[i];
    for (int64_t t = 0; t < k->steps; t++) {
        const real *B = k->B + t * k->B_stride;
        real x[L], delta[L], in[L];
        load(k->x + t * k->x_stride, k->width, x);
        load(k->delta + t * k->delta_stride, k->width, delta);
#pragma omp simd
        for (int c = 0; c < L; c++)
            in[c] = delta[c] * x[c];
        for (int64_t n = 0; n < k->states; n++) {
            const real *restrict A = k->A + n * L, *restrict last = held + t * size + n * L;
            real *restrict now = held + (t + 1) * size + n * L, *restrict decay = decays + t * size + n * L,
                           b = B[n];
#pragma omp simd
            for (int c = 0; c < L; c++) {
                decay[c] = power_of_two(delta[c] * A[c]);
                now[c] = decay[c] * last[c] + in[c] * b;
            }
        }
    }
}

/* What the gradients of one step's B and C gather, of VECTOR_LANES states at a time. */
struct sums {
    vector B[VECTOR_LANES], C[VECTOR_LANES];
    int count;
};

static inline vector add_up(const real *lanes)
{
    vector sum = vector_load(lanes);
    EACH (v, 1, L / VECTOR_LANES)
        sum += vector_load(lanes + v * VECTOR_LANES);
    return sum;
}

static inline void give_sums(struct sums *sums, real *dB, real *dC)
{
    real B[VECTOR_LANES], C[VECTOR_LANES];
    vector_sums(VECTOR_LANES, sums->B, B);
    vector_sums(VECTOR_LANES, sums->C, C);
    for (int i = 0; i < sums->count; i++) {
        dB[i] += B[i];
        dC[i] += C[i];
    }
    sums->count = 0;
}

static void backward(const struct selective_scan_block *k, const real *before, real *held, real *restrict g,
                     const struct selective_scan_gradients *d)
{
    int64_t size = k->states * L;
    real *decays = held + (k->steps + 1) * size;
    hold(k, before, held, decays);
    for (int64_t t = k->steps - 1; t >= 0; t--) {
        fetch_back(k, d, t);
        const real *B = k->B + t * k->B_stride, *C = k->C + t * k->C_stride;
        real x[L], delta[L], in[L], dy[L] = {0}, to_in[L] = {0}, to_exponent[L] = {0};
        load(k->x + t * k->x_stride, k->width, x);
        load(k->delta + t * k->delta_stride, k->width, delta);
        if (d->dy)
            load(d->dy + t * d->dy_stride, k->width, dy);
#pragma omp simd
        for (int c = 0; c < L; c++)
            in[c] = delta[c] * x[c];
        struct sums sums;
        sums.count = 0;
        for (int64_t n = 0; n < k->states; n++) {
            const real *restrict A = k->A + n * L, *restrict last = held + t * size + n * L,
                                 *restrict now = last + size;
            const real *restrict decay = decays + t * size + n * L;
            real *restrict back = g + n * L, *restrict dA = d->dA + n * L, b = B[n], read = C[n], to_B[L],
                           to_C[L];
#pragma omp simd
            for (int c = 0; c < L; c++) {
                real gradient = back[c] + dy[c] * read, next = gradient * decay[c], through = next * last[c];
                to_C[c] = dy[c] * now[c];
                to_B[c] = gradient * in[c];
                to_in[c] += gradient * b;
                to_exponent[c] += through * A[c];
                dA[c] += through * delta[c];
                back[c] = next;
            }
            sums.B[sums.count] = add_up(to_B);
            sums.C[sums.count++] = add_up(to_C);
            if (sums.count == VECTOR_LANES)
                give_sums(&sums, d->dB + t * k->states + n + 1 - VECTOR_LANES,
                          d->dC + t * k->states + n + 1 - VECTOR_LANES);
        }
        if (sums.count) {
            int64_t first = t * k->states + k->states - sums.count;
            for (int i = sums.count; i < VECTOR_LANES; i++)
                sums.B[i] = sums.C[i] = vector_fill(0);
            give_sums(&sums, d->dB + first, d->dC + first);
        }
        real dx[L], ddelta[L];
#pragma omp simd
        for (int c = 0; c < L; c++) {
            dx[c] = delta[c] * to_in[c];
            ddelta[c] = x[c] * to_in[c] + to_exponent[c] * (real)(1 / SELECTIVE_UNIT);
        }
        if (d->dx)
            add(dx, k->width, d->dx + t * k->x_stride);
        if (d->ddelta)
            add(ddelta, k->width, d->ddelta + t * k->delta_stride);
    }
}

static void step(int64_t channels, int64_t states, const real *x, const real *delta, const real *A,
                 const real *B, const real *C, const real *before, real *h, real *y)
{
    for (int64_t c = 0; c < channels; c++) {
        const real *restrict rate = A + c * states, *restrict last = before + c * states;
        real *restrict now = h + c * states, exponent = delta[c] * (real)SELECTIVE_UNIT, in = delta[c] * x[c],
                       sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t n = 0; n < states; n++) {
            real value = before ? power_of_two(exponent * rate[n]) * last[n] + in * B[n] : in * B[n];
            now[n] = value;
            sum += C[n] * value;
        }
        y[c] = sum;
    }
}

LOOPS_TABLE(struct selective_scan_loops, selective_scan_loops) = {forward, backward, step};
