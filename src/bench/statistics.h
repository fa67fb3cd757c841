/* statistics.h: the few statistics that measurements are reported by. Samples are in any order and stay as
 * they are. */
#ifndef CLADE_BENCH_STATISTICS_H
#define CLADE_BENCH_STATISTICS_H

#include <stddef.h>

/* Linear interpolation between order statistics, 0 <= fraction <= 1; NaN for no samples. */
double statistics_quantile(const double *samples, size_t count, double fraction);
double statistics_median(const double *samples, size_t count);
/* Distance between the quartiles. */
double statistics_spread(const double *samples, size_t count);
/* Between what the median is, with 95 % confidence and whatever the distribution: the order statistics that
 * stand 0.98 sqrt(count) before and behind it (Conover, "Practical nonparametric statistics", 3.2). All of
 * the range below 8 samples; NaN for none. */
void statistics_median_range(const double *samples, size_t count, double *low, double *high);
/* Least-squares slope of log y over log x: the exponent of growth. NaN for fewer than two different x. */
double statistics_exponent(const double *x, const double *y, size_t count);

#endif
