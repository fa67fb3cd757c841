/* vector.h: the compiler's own vector type, for loops that must keep many accumulators in registers: gcc
 * holds arrays of these in registers, but not arrays of reals that it vectorised itself (measured: 118
 * against 62 GFLOP/s). */
#ifndef CLADE_TENSOR_LOOPS_VECTOR_H
#define CLADE_TENSOR_LOOPS_VECTOR_H

#include "tensor/real.h"
#include <stdint.h>

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

/* May lie anywhere that a real may; loads and stores through it alias reals. */
typedef real vector __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real)), may_alias));
enum { VECTOR_LANES = VECTOR_BYTES / sizeof(real) };

#define UNROLL _Pragma("GCC unroll 16")
#define EACH(i, from, to) UNROLL for (int i = (from); i < (to); i++)

/* For functions that are made several times over, each with some arguments constant. */
#define TEMPLATE static inline __attribute__((always_inline))

static inline vector vector_fill(real x)
{
    return (vector){0} + x;
}

static inline vector vector_load(const real *x)
{
    return *(const vector *)x;
}

static inline void vector_store(real *x, vector value)
{
    *(vector *)x = value;
}

/* Lane by lane the larger of the two; b where they do not compare. */
static inline vector vector_larger(vector a, vector b)
{
    typedef __typeof__(a > b) mask;
    mask larger = a > b;
    return (vector)((larger & (mask)a) | (~larger & (mask)b));
}

/* The sum of the lanes, by halves: gcc adds what `omp simd reduction` leaves one lane after the other. */
static inline real vector_sum(vector x)
{
    typedef real quarter __attribute__((vector_size(16)));
    union {
        vector whole;
        quarter parts[VECTOR_BYTES / 16];
    } u = {x};
    quarter sum = u.parts[0];
    EACH (i, 1, VECTOR_BYTES / 16)
        sum += u.parts[i];
#ifdef CLADE_DOUBLE
    return sum[0] + sum[1];
#else
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
#endif
}

/* The first `count` lanes from memory, zeros in the others. */
static inline vector vector_load_part(const real *x, int64_t count)
{
    vector value = {0};
    for (int64_t i = 0; i < count; i++)
        value[i] = x[i];
    return value;
}

/* Sums of neighbouring lanes, those of a before those of b. */
static inline vector vector_add_pairs(vector a, vector b)
{
    __typeof__(a > b) even, odd;
    EACH (i, 0, VECTOR_LANES) {
        even[i] = 2 * i;
        odd[i] = 2 * i + 1;
    }
    return __builtin_shuffle(a, b, even) + __builtin_shuffle(a, b, odd);
}

/* sums[i] = the sum of the lanes of x[i], which are lost; sums has room for `count` rounded up to whole
 * vectors. */
TEMPLATE void vector_sums(int count, vector *x, real *sums)
{
    UNROLL for (int width = VECTOR_LANES; width > 1; width /= 2)
    {
        EACH (i, 0, (count + 1) / 2)
            x[i] = vector_add_pairs(x[2 * i], 2 * i + 1 < count ? x[2 * i + 1] : x[2 * i]);
        count = (count + 1) / 2;
    }
    EACH (i, 0, count)
        vector_store(sums + i * VECTOR_LANES, x[i]);
}

#endif
