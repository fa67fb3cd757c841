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
static inline double real_tanh(double x)
{
    return tanh(x);
}
static inline double real_erf(double x)
{
    return erf(x);
}
static inline double real_sqrt(double x)
{
    return sqrt(x);
}
static inline double real_absolute(double x)
{
    return fabs(x);
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
    float clamped = x < -104.f ? -104.f : x;
    clamped = clamped > 89.f ? 89.f : clamped; /* both keep NaN out of the integer part */
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

/* log(x): x = 2^n m with m in [sqrt(1/2), sqrt(2)); Cephes' polynomial. */
static inline float real_log(float x)
{
    float scaled = x < 1.17549435e-38f ? x * 8388608.f : x; /* denormals */
    float offset = x < 1.17549435e-38f ? 23.f : 0.f;
    int32_t bits = bits_of_float(scaled);
    int32_t exponent = ((bits - 0x3f3504f3) >> 23);
    float m = float_from_bits(bits - (int32_t)((uint32_t)exponent << 23)) - 1.f;
    float n = (float)exponent - offset;
    float z = m * m;
    float p = 7.0376836292e-2f;
    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    float result = m * z * p - 2.12194440e-4f * n - 0.5f * z + m + 0.693359375f * n;
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

/* exp(x) - 1: the polynomial near zero, the difference elsewhere. */
static inline float real_expm1(float x)
{
    float p = 1.9841270e-4f;
    p = p * x + 1.3888889e-3f;
    p = p * x + 8.3333333e-3f;
    p = p * x + 4.1666667e-2f;
    p = p * x + 1.6666667e-1f;
    p = p * x + 0.5f;
    p = p * x * x + x;
    float far = real_exp(x) - 1.f;
    return real_absolute(x) < 0.35f ? p : far;
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

/* erf(x): a rational function on [-4, 4] (the coefficients of Eigen's and XLA's), +-1 beyond. */
static inline float real_erf(float x)
{
    float c = x < -4.f ? -4.f : x;
    c = c > 4.f ? 4.f : c;
    float z = c * c;
    float p = -2.72614225801306e-10f;
    p = p * z + 2.77068142495902e-08f;
    p = p * z - 2.10102402082508e-06f;
    p = p * z - 5.69250639462346e-05f;
    p = p * z - 7.34990630326855e-04f;
    p = p * z - 2.95459980854025e-03f;
    p = p * z - 1.60960333262415e-02f;
    float q = -1.45660718464996e-05f;
    q = q * z - 2.13374055278905e-04f;
    q = q * z - 1.68282697438203e-03f;
    q = q * z - 7.37332916720468e-03f;
    q = q * z - 1.42647390514189e-02f;
    float result = c * p / q;
    return x != x ? x : result;
}

#endif

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
    return positive + real_log1p(real_exp(-real_absolute(x)));
}

#endif
