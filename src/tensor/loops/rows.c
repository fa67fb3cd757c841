#include "tensor/loops/rows.h"
#include "tensor/vector_math.h"
#include <stdbool.h>

enum { SEARCHED = 32 };   /* numbers compared before a search looks at the outcome */
enum { SUM_BLOCK = 256 }; /* numbers added in `real`; the sums of blocks are added in double precision */

static real sum(int64_t n, const real *x)
{
    double whole = 0;
    for (int64_t start = 0; start < n; start += SUM_BLOCK) {
        int64_t end = n - start < SUM_BLOCK ? n : start + SUM_BLOCK;
        real total = 0;
#pragma omp simd reduction(+ : total)
        for (int64_t i = start; i < end; i++)
            total += x[i];
        whole += (double)total;
    }
    return (real)whole;
}

static real max(int64_t n, const real *x)
{
    real largest = -INFINITY;
#pragma omp simd reduction(max : largest)
    for (int64_t i = 0; i < n; i++)
        largest = x[i] > largest ? x[i] : largest;
    return largest;
}

static int64_t place_of_max(int64_t n, const real *x)
{
    real largest = -INFINITY;
    int numbers = 1;
    int64_t i = 0;
#pragma omp simd reduction(max : largest) reduction(& : numbers)
    for (int64_t j = 0; j < n; j++) {
        largest = x[j] > largest ? x[j] : largest;
        numbers &= x[j] == x[j];
    }
    if (!numbers) {
        while (x[i] == x[i])
            i++;
        return i;
    }
    for (; i + SEARCHED <= n; i += SEARCHED) {
        int found = 0;
#pragma omp simd reduction(| : found)
        for (int64_t j = i; j < i + SEARCHED; j++)
            found |= x[j] == largest;
        if (found)
            break;
    }
    while (x[i] != largest)
        i++;
    return i;
}

static real dot(int64_t n, const real *x, const real *y)
{
    real total = 0;
#pragma omp simd reduction(+ : total)
    for (int64_t i = 0; i < n; i++)
        total += x[i] * y[i];
    return total;
}

static void add(int64_t n, const real *restrict x, real *restrict y)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] += x[i];
}

/* Four rows at a time: y is read and written a quarter as often. */
static void add_weighted(int64_t n, int count, const real *weights, const real *const *rows, real *restrict y)
{
    int k = 0;
    for (; k + 4 <= count; k += 4) {
        const real *restrict a = rows[k], *restrict b = rows[k + 1], *restrict c = rows[k + 2],
                             *restrict d = rows[k + 3];
        real wa = weights[k], wb = weights[k + 1], wc = weights[k + 2], wd = weights[k + 3];
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            y[i] += (wa * a[i] + wb * b[i]) + (wc * c[i] + wd * d[i]);
    }
    for (; k < count; k++) {
        const real *restrict a = rows[k];
        real wa = weights[k];
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            y[i] += wa * a[i];
    }
}

static void max_with(int64_t n, const real *restrict x, real index, real *restrict y, real *restrict place)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        bool larger = x[i] > y[i] || (x[i] != x[i] && y[i] == y[i]);
        y[i] = larger ? x[i] : y[i];
        place[i] = larger ? index : place[i];
    }
}

static real exp_sum(int64_t n, const real *x, real shift)
{
    double whole = 0;
    for (int64_t start = 0; start < n; start += SUM_BLOCK) {
        int64_t end = n - start < SUM_BLOCK ? n : start + SUM_BLOCK;
        real total = 0;
#pragma omp simd reduction(+ : total)
        for (int64_t i = start; i < end; i++)
            total += real_exp(x[i] - shift);
        whole += (double)total;
    }
    return (real)whole;
}

static void exp_add(int64_t n, const real *restrict x, const real *restrict shift, real *restrict y)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] += real_exp(x[i] - shift[i]);
}

static void exp_backward(int64_t n, const real *restrict x, const real *restrict y, int64_t step,
                         const real *restrict dy, real *restrict dx)
{
    if (step == 0) {
        real shift = *y, slope = *dy;
        if (shift == -INFINITY)
            return;
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            dx[i] += real_exp(x[i] - shift) * slope;
        return;
    }
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        real share = real_exp(x[i] - y[i]);
        dx[i] += (y[i] == -INFINITY ? 0 : share) * dy[i];
    }
}

static void log_add(int64_t n, real *x, const real *shift)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        x[i] = shift[i] + real_log(x[i]);
}

static void softmax(int64_t n, const real *x, real *y)
{
    real largest = max(n, x), total = 0;
    if (largest == -INFINITY)
        largest = 0;
#pragma omp simd reduction(+ : total)
    for (int64_t i = 0; i < n; i++) {
        real e = real_exp(x[i] - largest);
        y[i] = e;
        total += e;
    }
    real scale = total > 0 ? 1 / total : (total == total ? 0 : total);
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] *= scale;
}

static void softmax_backward(int64_t n, const real *restrict y, const real *restrict dy, real *restrict dx)
{
    real mean = dot(n, y, dy);
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        dx[i] += y[i] * (dy[i] - mean);
}

static real deviation_square(int64_t n, const real *x, real mean)
{
    real total = 0;
#pragma omp simd reduction(+ : total)
    for (int64_t i = 0; i < n; i++)
        total += (x[i] - mean) * (x[i] - mean);
    return total;
}

static void layer_norm(int64_t n, const real *restrict x, const real *restrict weight,
                       const real *restrict bias, real epsilon, real *restrict y)
{
    real mean = sum(n, x) / (real)n;
    real r = 1 / real_sqrt(deviation_square(n, x, mean) / (real)n + epsilon);
    if (weight && bias)
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            y[i] = (x[i] - mean) * r * weight[i] + bias[i];
    else
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            y[i] = (x[i] - mean) * r * (weight ? weight[i] : 1) + (bias ? bias[i] : 0);
}

/* Of a gradient little may be left beside its mean and its part along x: with two channels a share of epsilon
 * over the variance. Rows this short are cheap to take in double. */
enum { SHORT_ROW = 8 };

static void short_layer_norm_gradient(int64_t n, const real *restrict x, const real *restrict weight,
                                      double epsilon, const real *restrict dy, real *restrict dx)
{
    double mean = 0, variance = 0, mean_g = 0, mean_gx = 0;
    for (int64_t i = 0; i < n; i++)
        mean += (double)x[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        variance += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
    double r = 1 / sqrt(variance + epsilon);
    for (int64_t i = 0; i < n; i++) {
        double g = (double)dy[i] * (weight ? (double)weight[i] : 1);
        mean_g += g / (double)n;
        mean_gx += g * ((double)x[i] - mean) * r / (double)n;
    }
    for (int64_t i = 0; i < n; i++) {
        double g = (double)dy[i] * (weight ? (double)weight[i] : 1);
        dx[i] += (real)(r * (g - mean_g - ((double)x[i] - mean) * r * mean_gx));
    }
}

static void layer_norm_backward(int64_t n, const real *restrict x, const real *restrict weight, real epsilon,
                                const real *restrict dy, real *restrict dx, real *restrict dweight,
                                real *restrict dbias)
{
    real mean = sum(n, x) / (real)n;
    real r = 1 / real_sqrt(deviation_square(n, x, mean) / (real)n + epsilon);
    real mean_g = 0, mean_gx = 0;
#pragma omp simd reduction(+ : mean_g, mean_gx)
    for (int64_t i = 0; i < n; i++) {
        real g = dy[i] * (weight ? weight[i] : 1);
        mean_g += g;
        mean_gx += g * (x[i] - mean) * r;
    }
    mean_g /= (real)n;
    mean_gx /= (real)n;
    if (dx && n <= SHORT_ROW)
        short_layer_norm_gradient(n, x, weight, (double)epsilon, dy, dx);
    else if (dx)
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            dx[i] += r * (dy[i] * (weight ? weight[i] : 1) - mean_g - (x[i] - mean) * r * mean_gx);
    if (dweight)
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            dweight[i] += dy[i] * (x[i] - mean) * r;
    if (dbias)
        add(n, dy, dbias);
}

static real power_scale(int64_t n, const real *x, real factor, real epsilon, int floor_only, int *floored)
{
    real square = dot(n, x, x);
    *floored = 0;
    if (!floor_only)
        return 1 / real_sqrt(factor * square + epsilon);
    real norm = real_sqrt(square);
    *floored = norm <= epsilon;
    return 1 / (*floored ? epsilon : norm);
}

static void power_norm(int64_t n, const real *restrict x, const real *restrict weight, real factor,
                       real epsilon, int floor_only, real *restrict y)
{
    int floored;
    real r = power_scale(n, x, factor, epsilon, floor_only, &floored);
    if (weight)
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            y[i] = x[i] * r * weight[i];
    else
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            y[i] = x[i] * r;
}

static void power_norm_backward(int64_t n, const real *restrict x, const real *restrict weight, real factor,
                                real epsilon, int floor_only, const real *restrict dy, real *restrict dx,
                                real *restrict dweight)
{
    int floored;
    real r = power_scale(n, x, factor, epsilon, floor_only, &floored);
    real gx = 0;
#pragma omp simd reduction(+ : gx)
    for (int64_t i = 0; i < n; i++)
        gx += dy[i] * (weight ? weight[i] : 1) * x[i];
    real pull = floored ? 0 : r * r * (floor_only ? 1 : factor) * gx;
    if (dx)
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            dx[i] += r * (dy[i] * (weight ? weight[i] : 1) - x[i] * pull);
    if (dweight)
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            dweight[i] += dy[i] * x[i] * r;
}

LOOPS_TABLE(struct row_loops, row_loops) = {
    .sum = sum,
    .max = max,
    .place_of_max = place_of_max,
    .dot = dot,
    .add = add,
    .add_weighted = add_weighted,
    .max_with = max_with,
    .exp_sum = exp_sum,
    .exp_add = exp_add,
    .log_add = log_add,
    .exp_backward = exp_backward,
    .softmax = softmax,
    .softmax_backward = softmax_backward,
    .layer_norm = layer_norm,
    .layer_norm_backward = layer_norm_backward,
    .power_norm = power_norm,
    .power_norm_backward = power_norm_backward,
};
