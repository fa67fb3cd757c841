/* statistics.h: the few statistics that measurements are reported by. Samples are in any order and stay as they are. */
#ifndef CLADE_BENCH_STATISTICS_H
#define CLADE_BENCH_STATISTICS_H

#include <stddef.h>

/* Linear interpolation between order statistics, 0 <= fraction <= 1; NaN for no samples. */
double statistics_quantile(const double *samples, size_t count, double fraction);
double statistics_median(const double *samples, size_t count);
/* Distance between the quartiles. */
double statistics_spread(const double *samples, size_t count);
/* How far the median may be off: half the notch of a box plot, 1.57 spread / sqrt(count). Two medians whose notches do not overlap
 * differ, with 95 % confidence (McGill, Tukey & Larsen, "Variations of box plots", The American Statistician 32:1, 1978). */
double statistics_notch(const double *samples, size_t count);
/* Least-squares slope of log y over log x: the exponent of growth. NaN for fewer than two different x. */
double statistics_exponent(const double *x, const double *y, size_t count);

#endif
