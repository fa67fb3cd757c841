/* Single precision runs on kissfft, and by Bluestein's convolution where the length has a large prime factor,
 * for which kissfft takes time quadratic in that factor. Debian has no kissfft for doubles, so the
 * double-precision library, which serves checks only, sums the definition over a table of roots of unity:
 * slow, and an independent truth. */
#include "tensor/fourier_plan.h"
#include "base/memory.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void root_of_unity(int64_t number, int64_t period, real *root)
{
    double angle = 2 * M_PI * (double)number / (double)period;
    root[0] = (real)cos(angle);
    root[1] = (real)sin(angle);
}

void fourier_roots(int64_t count, int64_t period, real *roots)
{
    for (int64_t k = 0; k < count; k++)
        root_of_unity(k, period, roots + 2 * k);
}

#ifdef CLADE_DOUBLE

struct fourier_plan {
    int64_t length;
    bool inverse;
    real roots[]; /* exp(2 pi i k / length) */
};

struct fourier_plan *fourier_plan_create(int64_t length, bool inverse)
{
    struct fourier_plan *plan =
        memory_allocate(sizeof *plan + size_multiply((size_t)length, 2 * sizeof(real)));
    plan->length = length;
    plan->inverse = inverse;
    fourier_roots(length, length, plan->roots);
    return plan;
}

void fourier_plan_free(struct fourier_plan *plan)
{
    free(plan);
}

int64_t fourier_plan_scratch(const struct fourier_plan *plan)
{
    (void)plan;
    return 0;
}

void fourier_plan_run(const struct fourier_plan *plan, const real *source, real *target, real *scratch)
{
    (void)scratch;
    real sign = plan->inverse ? 1 : -1;
    for (int64_t k = 0; k < plan->length; k++) {
        real sum[2] = {0, 0};
        for (int64_t j = 0, at = 0; j < plan->length; j++) {
            real cosine = plan->roots[2 * at], sine = sign * plan->roots[2 * at + 1];
            sum[0] += source[2 * j] * cosine - source[2 * j + 1] * sine;
            sum[1] += source[2 * j] * sine + source[2 * j + 1] * cosine;
            at += k;
            at -= at >= plan->length ? plan->length : 0;
        }
        target[2 * k] = sum[0];
        target[2 * k + 1] = sum[1];
    }
}

int64_t fourier_fast_length(int64_t length)
{
    return length;
}

#else

#include <kiss_fft.h>

enum { LARGE_PRIME = 23 }; /* from here on Bluestein's way is the faster one */

struct fourier_plan {
    int64_t length;
    bool inverse;
    kiss_fft_cfg config; /* of a transform of the length, or of Bluestein's forward one */
    int64_t padded;      /* the length of that; 0 where it is not used */
    real *chirp;         /* exp(-+ pi i j^2 / length) */
    real *spectrum;      /* of the conjugate chirp, both ways from 0, divided by `padded` */
};

/* kissfft places its tables where it is told, so that memory ends as everywhere in this program. */
static kiss_fft_cfg configure(int64_t length, bool inverse)
{
    size_t size = 0;
    kiss_fft_alloc((int)length, inverse, NULL, &size);
    return kiss_fft_alloc((int)length, inverse, memory_allocate(size), &size);
}

static void transform(kiss_fft_cfg config, const real *source, real *target)
{
    kiss_fft(config, (const kiss_fft_cpx *)source, (kiss_fft_cpx *)target);
}

int64_t fourier_fast_length(int64_t length)
{
    return kiss_fft_next_fast_size((int)length);
}

static int64_t largest_prime_factor(int64_t n)
{
    int64_t largest = 1;
    for (int64_t p = 2; p * p <= n; p++)
        for (; n % p == 0; n /= p)
            largest = p;
    return n > 1 ? n : largest;
}

/* With jk = (j^2 + k^2 - (k - j)^2) / 2 the transform is a convolution with a chirp, of any length that
 * leaves room: target[k] = chirp[k] sum_j (source[j] chirp[j]) conj(chirp[k - j]) Bluestein 1970. */
static void create_chirp(struct fourier_plan *plan)
{
    int64_t n = plan->length, padded = fourier_fast_length(2 * n - 1);
    size_t bytes = (size_t)padded * 2 * sizeof(real);
    plan->padded = padded;
    plan->config = configure(padded, false);
    plan->chirp = memory_allocate((size_t)n * 2 * sizeof(real));
    plan->spectrum = memory_allocate(bytes);
    real *both_ways = memory_allocate(bytes), scale = 1 / (real)padded;
    memset(both_ways, 0, bytes);
    for (int64_t j = 0; j < n; j++) {
        real root[2];
        root_of_unity(j * j % (2 * n), 2 * n, root);
        plan->chirp[2 * j] = root[0];
        plan->chirp[2 * j + 1] = plan->inverse ? root[1] : -root[1];
        for (int64_t i = 0; i < 2; i++) {
            both_ways[2 * j + i] = scale * (i ? -plan->chirp[2 * j + 1] : root[0]);
            if (j > 0)
                both_ways[2 * (padded - j) + i] = both_ways[2 * j + i];
        }
    }
    transform(plan->config, both_ways, plan->spectrum);
    free(both_ways);
}

struct fourier_plan *fourier_plan_create(int64_t length, bool inverse)
{
    struct fourier_plan *plan = memory_allocate_zero(1, sizeof *plan);
    plan->length = length;
    plan->inverse = inverse;
    if (largest_prime_factor(length) < LARGE_PRIME)
        plan->config = configure(length, inverse);
    else
        create_chirp(plan);
    return plan;
}

void fourier_plan_free(struct fourier_plan *plan)
{
    if (!plan)
        return;
    free(plan->config);
    free(plan->chirp);
    free(plan->spectrum);
    free(plan);
}

int64_t fourier_plan_scratch(const struct fourier_plan *plan)
{
    return 4 * plan->padded;
}

static void run_chirp(const struct fourier_plan *plan, const real *source, real *target, real *scratch)
{
    const real *chirp = plan->chirp, *spectrum = plan->spectrum;
    int64_t n = plan->length, padded = plan->padded;
    real *a = scratch, *b = scratch + 2 * padded;
    for (int64_t j = 0; j < n; j++) {
        a[2 * j] = source[2 * j] * chirp[2 * j] - source[2 * j + 1] * chirp[2 * j + 1];
        a[2 * j + 1] = source[2 * j] * chirp[2 * j + 1] + source[2 * j + 1] * chirp[2 * j];
    }
    memset(a + 2 * n, 0, (size_t)(padded - n) * 2 * sizeof(real));
    transform(plan->config, a, b);
    for (int64_t k = 0; k < padded; k++) { /* conjugated, so that the same transform inverts */
        a[2 * k] = b[2 * k] * spectrum[2 * k] - b[2 * k + 1] * spectrum[2 * k + 1];
        a[2 * k + 1] = -(b[2 * k] * spectrum[2 * k + 1] + b[2 * k + 1] * spectrum[2 * k]);
    }
    transform(plan->config, a, b);
    for (int64_t k = 0; k < n; k++) {
        target[2 * k] = b[2 * k] * chirp[2 * k] + b[2 * k + 1] * chirp[2 * k + 1];
        target[2 * k + 1] = b[2 * k] * chirp[2 * k + 1] - b[2 * k + 1] * chirp[2 * k];
    }
}

void fourier_plan_run(const struct fourier_plan *plan, const real *source, real *target, real *scratch)
{
    if (plan->padded)
        run_chirp(plan, source, target, scratch);
    else
        transform(plan->config, source, target);
}

#endif
