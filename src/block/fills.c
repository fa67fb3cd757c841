/* Values that several kernels start from. */
#include "base/memory.h"
#include "block/kernel.h"
#include "tensor/blas.h"
#include <f77blas.h>
#include <math.h>
#include <stdlib.h>

double alibi_slope(int64_t head, int64_t heads)
{
    int64_t power = 1;
    while (2 * power <= heads)
        power *= 2;
    if (head < power)
        return pow(2, -8.0 * (double)(head + 1) / (double)power);
    return pow(2, -8.0 * (double)(2 * (head - power) + 1) / (double)(2 * power));
}

void fill_alibi_slopes(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)s, (void)rank;
    for (int64_t h = 0; h < shape[0]; h++)
        values[h] = (real)alibi_slope(h, shape[0]);
}

void fill_falling_slopes(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)rank;
    double depth = s->layers > 1 ? (double)s->layer / (double)(s->layers - 1) : 0;
    for (int64_t h = 0; h < shape[0]; h++)
        values[h] = (real)(alibi_slope(h, shape[0]) * (1 - depth + 1e-5));
}

typedef double frequency_of_pair(const void *argument, int64_t pair);

/* Tokens stand at `places`, or from `start` on where that is NULL. */
static tensor *angles(struct scope *s, const real *places, int64_t start, int64_t count, int64_t pairs,
                      frequency_of_pair *frequency, const void *argument)
{
    tensor *y = tensor_constant(s->graph, NULL, 2, SHAPE(count, pairs));
    for (int64_t i = 0; i < pairs; i++) {
        double w = frequency(argument, i);
        for (int64_t t = 0; t < count; t++)
            y->data[t * pairs + i] =
                (real)fmod((places ? (double)places[t] : (double)(start + t)) * w, 2 * M_PI);
    }
    return y;
}

tensor *rotary_angles_of(struct scope *s, int64_t start, int64_t count, int64_t pairs,
                         double (*frequency)(const void *argument, int64_t pair), const void *argument)
{
    return angles(s, NULL, start, count, pairs, frequency, argument);
}

tensor *rotary_angles_at(struct scope *s, const real *places, int64_t count, int64_t pairs,
                         double (*frequency)(const void *argument, int64_t pair), const void *argument)
{
    return angles(s, places, 0, count, pairs, frequency, argument);
}

struct geometric {
    double base;
    int64_t pairs;
};

static double geometric_frequency(const void *argument, int64_t pair)
{
    const struct geometric *g = argument;
    return pow(g->base, -(double)pair / (double)g->pairs);
}

tensor *rotary_angles(struct scope *s, int64_t start, int64_t count, int64_t pairs, double base)
{
    return rotary_angles_of(s, start, count, pairs, geometric_frequency, &(struct geometric){base, pairs});
}

tensor *sinusoids(struct scope *s, int64_t count, struct sinusoids of)
{
    int64_t width = s->width;
    tensor *y = tensor_constant(s->graph, NULL, 2, SHAPE(count, width));
    for (int64_t i = 0; i < width; i++) {
        int64_t pair = of.halves ? i % (width / 2) : i / 2;
        bool sine = of.halves ? i < width / 2 : i % 2 == 0;
        double w = pow(of.base, -2 * (double)pair / (double)width);
        for (int64_t row = 0; row < count; row++) {
            double n = (double)(of.first + row * of.step), most = (double)of.most;
            if (of.most > 0)
                n = fmax(fmin(n, most), -most);
            y->data[row * width + i] = (real)(sine ? sin(n * w) : cos(n * w));
        }
    }
    return y;
}

void fill_rotary_frequencies(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)s, (void)rank;
    for (int64_t i = 0; i < shape[0]; i++)
        values[i] = (real)pow(10000, -(double)i / (double)shape[0]);
}

void fill_ridge_regression(const struct scope *s, int64_t n, int64_t points, double ridge,
                           double (*function)(const struct scope *s, int64_t i, int64_t point), int64_t from,
                           int64_t count, real *values)
{
    double *features = memory_allocate_zero((size_t)(n * points), sizeof *features);
    double *products = memory_allocate_zero((size_t)(n * n), sizeof *products);
    /* By columns, as LAPACK has them. */
    double *sides = memory_allocate_zero((size_t)(n * count), sizeof *sides);
    for (int64_t i = 0; i < n; i++)
        for (int64_t p = 0; p < points; p++)
            features[i * points + p] = function(s, i, p);
    blas_use_one_thread();
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)n, (blasint)n, (blasint)points, 1, features,
                (blasint)points, features, (blasint)points, 0, products, (blasint)n);
    for (int64_t i = 0; i < n; i++)
        products[i * n + i] += ridge;
    for (int64_t p = 0; p < count; p++)
        for (int64_t i = 0; i < n; i++)
            sides[p * n + i] = features[i * points + from + p];
    blasint *pivots = memory_allocate_zero((size_t)n, sizeof *pivots), size = (blasint)n,
            side_count = (blasint)count, failed;
    BLASFUNC(dgesv)(&size, &side_count, products, &size, pivots, sides, &size, &failed);
    for (int64_t i = 0; i < n * count; i++)
        values[i] = (real)sides[i];
    free(pivots);
    free(sides);
    free(products);
    free(features);
    if (failed)
        kernel_fail(s, "ridge regression: the functions' products have no inverse");
}

void fill_step_biases(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)s, (void)rank;
    for (int64_t i = 0; i < shape[0]; i++) {
        double step = 0.001 * pow(100, ((double)i + 0.5) / (double)shape[0]);
        values[i] = (real)(step + log(-expm1(-step)));
    }
}
