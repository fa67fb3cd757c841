/* vector_math.h: elementary functions without branches, so that loops over them vectorise.
 *
 * Single precision: polynomials with errors of a few units in the last place, checked in tests/tensor against
 * the C library over the whole range, infinities and NaN included. Double precision, used for checks only,
 * calls the C library. */
#ifndef CLADE_TENSOR_VECTOR_MATH_H
#define CLADE_TENSOR_VECTOR_MATH_H

#include "tensor/real.h"
#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef CLADE_DOUBLE

static inline double real_exp(double x)
{
    return exp(x);
}
static inline double real_exp_below(double x)
{
    return exp(x);
}
static inline double real_expm1(double x)
{
    return expm1(x);
}
static inline double real_log(double x)
{
    return log(x);
}
static inline double real_log1p(double x)
{
    return log1p(x);
}
static inline double real_log1p_of_part(double x)
{
    return log1p(x);
}
static inline double real_tanh(double x)
{
    return tanh(x);
}
static inline double real_erf(double x)
{
    return erf(x);
}
static inline double real_normal_cdf(double x)
{
    return 0.5 * erfc(-0.70710678118654752440 * x);
}
static inline double real_sqrt(double x)
{
    return sqrt(x);
}
static inline double real_absolute(double x)
{
    return fabs(x);
}

static inline void real_sine_cosine(double x, double *sine, double *cosine)
{
    *sine = sin(x);
    *cosine = cos(x);
}

#else

static inline float float_from_bits(int32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline int32_t bits_of_float(float value)
{
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float real_absolute(float x)
{
    return __builtin_fabsf(x);
}

static inline float real_sqrt(float x)
{
    return __builtin_sqrtf(x);
}

/* exp(x) = 2^n exp(r), |r| <= ln 2 / 2; Cephes' polynomial for exp(r). 2^n is made in two factors so that
 * results near the ends of the range (and denormals) come out right. */
static inline float real_exp(float x)
{
    float clamped = x > -104.f ? x : -104.f; /* also keeps NaN out of the integer part */
    clamped = clamped < 89.f ? clamped : 89.f;
    float shifted = clamped * 1.44269504088896341f + 12582912.f;
    float n = shifted - 12582912.f;
    float r = clamped - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.f;
    int32_t whole = (int32_t)n, half = whole >> 1;
    float result = p * float_from_bits((half + 127) << 23) * float_from_bits((whole - half + 127) << 23);
    return x != x ? x : result;
}

/* exp(x) for x that is at most 0, or a rounding error above: a quarter faster, for one factor 2^n does.
 * Results below the least normal number are 0. */
static inline float real_exp_below(float x)
{
    float clamped = x > -87.33654f ? x : -87.33654f;
    float shifted = clamped * 1.44269504088896341f + 12582912.f; /* 1.5 2^23: n stands in the low bits */
    float n = shifted - 12582912.f;
    float r = clamped - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.f;
    float result = float_from_bits(bits_of_float(p) + (int32_t)((uint32_t)bits_of_float(shifted) << 23));
    result = x < -87.33654f ? 0.f : result;
    return x != x ? x : result;
}

/* (log(1 + m) - m + m^2 / 2) / m^3 for 1 + m in [sqrt(1/2), sqrt(2)); Cephes' polynomial. */
static inline float float_log_series(float m)
{
    float p = 7.0376836292e-2f;
    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    return p * m + 3.3333331174e-1f;
}

/* log(x): x = 2^n (1 + m). */
static inline float real_log(float x)
{
    float scaled = x < 1.17549435e-38f ? x * 8388608.f : x; /* denormals */
    float offset = x < 1.17549435e-38f ? 23.f : 0.f;
    int32_t bits = bits_of_float(scaled);
    int32_t exponent = (int32_t)((uint32_t)bits - 0x3f3504f3u) >> 23;
    float m = float_from_bits((int32_t)((uint32_t)bits - ((uint32_t)exponent << 23))) - 1.f;
    float n = (float)exponent - offset;
    float z = m * m;
    float result = m * z * float_log_series(m) - 2.12194440e-4f * n - 0.5f * z + m + 0.693359375f * n;
    result = x == 0.f ? -INFINITY : result;
    result = x == INFINITY ? INFINITY : result;
    return x >= 0.f ? result : NAN;
}

/* log(1 + x), exact for small x by Kahan's correction. */
static inline float real_log1p(float x)
{
    float u = 1.f + x;
    float d = u - 1.f;
    float corrected = real_log(u) * (x / (d == 0.f ? 1.f : d));
    float result = d == 0.f ? x : corrected;
    return u == INFINITY ? u : result;
}

/* log(1 + x) for x from 0 to 1, without a division: 1 + x or, from sqrt(2) on, half of it is 1 + m. */
static inline float real_log1p_of_part(float x)
{
    int far = x > 0.41421356f;
    float m = far ? 0.5f * (x - 1.f) : x, z = m * m;
    return m * z * float_log_series(m) - 0.5f * z + m + (far ? 0.69314718f : 0.f);
}

/* exp(x) - 1 = 2^n (exp(r) - 1) + (2^n - 1), reduced as in exp(): exact near zero, where n is 0. */
static inline float real_expm1(float x)
{
    float clamped = x > -104.f ? x : -104.f;
    clamped = clamped < 89.f ? clamped : 89.f;
    float shifted = clamped * 1.44269504088896341f + 12582912.f;
    float n = shifted - 12582912.f;
    float r = clamped - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r;
    int32_t whole = (int32_t)n, half = whole >> 1, rest = whole - half;
    float scale = float_from_bits((half + 127) << 23), one = float_from_bits((127 - rest) << 23);
    float result = (p * scale + (scale - one)) * float_from_bits((rest + 127) << 23);
    return x != x ? x : result;
}

/* tanh(x): odd polynomial near zero, 1 - 2 / (exp(2x) + 1) elsewhere. */
static inline float real_tanh(float x)
{
    float a = real_absolute(x), z = x * x;
    float p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    p = p * z * x + x;
    float far = 1.f - 2.f / (real_exp(2.f * a) + 1.f);
    far = x < 0.f ? -far : far;
    return a < 0.625f ? p : far;
}

/* Phi(-a) for a >= 0: exp(-a^2 / 2) P(q) / (a + 2.5) with q = (a - 2.5) / (a + 2.5), P fitted on [0, 14.5] to
 * a relative error of 1.5e-8. The square is made in two parts, since exp() magnifies its rounding by the size
 * of its argument. */
static inline float float_normal_tail(float a)
{
    float c = a < 15.f ? a : 15.f; /* keeps NaN out */
    float t = 1.f / (c + 2.5f), q = (c - 2.5f) * t;
    float p = -1.5726682603e-4f;
    p = p * q - 3.1086505509e-4f;
    p = p * q + 6.8434455061e-4f;
    p = p * q + 2.5232973505e-3f;
    p = p * q - 1.6009610157e-3f;
    p = p * q - 1.6386021608e-2f;
    p = p * q + 9.2359148119e-3f;
    p = p * q + 1.3198696538e-1f;
    p = p * q - 4.3369201445e-1f;
    p = p * q + 7.0665666008e-1f;
    float high = float_from_bits(bits_of_float(c) & (int32_t)0xfffff000); /* its square is exact */
    float square = high * high, low = (c - high) * (c + high);
    float sum = square + low, rest = (square - sum) + low;
    return real_exp_below(-0.5f * sum) * (1.f - 0.5f * rest) * (p * t);
}

/* Phi(x) = (1 + erf(x / sqrt(2))) / 2, to full relative precision in the lower tail too. */
static inline float real_normal_cdf(float x)
{
    float tail = float_normal_tail(real_absolute(x));
    float result = x < 0.f ? tail : 1.f - tail;
    return x != x ? x : result;
}

/* erf(x): an odd polynomial near zero, 1 - 2 Phi(-sqrt(2) |x|) elsewhere. */
static inline float real_erf(float x)
{
    float a = real_absolute(x), z = x * x;
    float p = 7.8538542826e-5f;
    p = p * z - 8.0101914858e-4f;
    p = p * z + 5.1883274425e-3f;
    p = p * z - 2.6853811807e-2f;
    p = p * z + 1.1283585146e-1f;
    p = p * z - 3.7612625824e-1f;
    p = p * z + 1.1283791657f;
    float far = 1.f - 2.f * float_normal_tail(1.41421356237f * a);
    far = x < 0.f ? -far : far;
    float result = a < 1.f ? x * p : far;
    return x != x ? x : result;
}

/* x = n pi / 2 + r, |r| <= pi / 4, with n and r found in double precision, which is exact enough up to |x| =
 * 2^30; then Cephes' polynomials. Larger x give some number in [-1, 1]. */
static inline void real_sine_cosine(float x, float *sine, float *cosine)
{
    double shifted =
        (double)x * 0.63661977236758134 + 6755399441055744.0; /* 1.5 2^52: n stands in the low bits */
    double n = shifted - 6755399441055744.0;
    int64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    int32_t quadrant = (int32_t)bits;
    float r = (float)((double)x - n * 1.5707963267948966);
    r = r > 0.8f ? 0.8f : r;
    r = r < -0.8f ? -0.8f : r;
    float z = r * r;
    float s = -1.9515295891e-4f;
    s = s * z + 8.3321608736e-3f;
    s = s * z - 1.6666654611e-1f;
    s = s * z * r + r;
    float c = 2.443315711809948e-5f;
    c = c * z - 1.388731625493765e-3f;
    c = c * z + 4.166664568298827e-2f;
    c = c * z * z - 0.5f * z + 1.f;
    float odd_sine = quadrant & 1 ? c : s, odd_cosine = quadrant & 1 ? s : c;
    *sine = quadrant & 2 ? -odd_sine : odd_sine;
    *cosine = (quadrant + 1) & 2 ? -odd_cosine : odd_cosine;
}

#endif

static inline real real_sin(real x)
{
    real sine, cosine;
    real_sine_cosine(x, &sine, &cosine);
    return sine;
}

static inline real real_cos(real x)
{
    real sine, cosine;
    real_sine_cosine(x, &sine, &cosine);
    return cosine;
}

static inline real real_sigmoid(real x)
{
    real e = real_exp(-real_absolute(x)); /* never overflows */
    real s = 1 / (1 + e);
    return x >= 0 ? s : e * s;
}

/* log(1 + exp(x)) */
static inline real real_softplus(real x)
{
    real positive = x > 0 ? x : 0;
    return positive + real_log1p_of_part(real_exp_below(-real_absolute(x)));
}

#endif
