#include "bench/statistics.h"
#include "base/memory.h"
#include <math.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double statistics_quantile(const double *samples, size_t count, double fraction)
{
    if (count == 0)
        return NAN;
    double *sorted = memory_copy(samples, count * sizeof *samples);
    qsort(sorted, count, sizeof *sorted, ascending);
    double place = fraction * (double)(count - 1);
    size_t below = (size_t)place;
    double share = place - (double)below;
    double value = sorted[below];
    if (below + 1 < count)
        value += share * (sorted[below + 1] - value);
    free(sorted);
    return value;
}

double statistics_median(const double *samples, size_t count)
{
    return statistics_quantile(samples, count, 0.5);
}

double statistics_spread(const double *samples, size_t count)
{
    return statistics_quantile(samples, count, 0.75) - statistics_quantile(samples, count, 0.25);
}

void statistics_median_range(const double *samples, size_t count, double *low, double *high)
{
    double n = (double)count, rank = fmax(floor(n / 2 - 0.98 * sqrt(n)), 0);
    *low = statistics_quantile(samples, count, rank / fmax(n - 1, 1));
    *high = statistics_quantile(samples, count, 1 - rank / fmax(n - 1, 1));
}

double statistics_exponent(const double *x, const double *y, size_t count)
{
    double sum_x = 0, sum_y = 0, sum_xx = 0, sum_xy = 0, n = (double)count;
    for (size_t i = 0; i < count; i++) {
        double a = log(x[i]), b = log(y[i]);
        sum_x += a;
        sum_y += b;
        sum_xx += a * a;
        sum_xy += a * b;
    }
    double determinant = n * sum_xx - sum_x * sum_x;
    return determinant > 1e-9 ? (n * sum_xy - sum_x * sum_y) / determinant : NAN;
}
