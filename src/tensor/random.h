/* random.h: counter-based random numbers (Philox4x32-10; Salmon, Moraes, Dror & Shaw, "Parallel random
 * numbers: as easy as 1, 2, 3", SC 2011).
 *
 * A sequence is named by a seed and a stream; each of its numbers depends on these and its index alone. So
 * any part of it can be made anywhere, by any number of threads, with the same result; both precisions draw
 * the same numbers and differ by rounding. Different uses of one seed take different streams: a uniform and a
 * normal sequence of one stream are made of the same bits. */
#ifndef CLADE_TENSOR_RANDOM_H
#define CLADE_TENSOR_RANDOM_H

#include "tensor/real.h"
#include <stdint.h>

/* The generator itself: 128 random bits from a 128-bit counter and a 64-bit key. */
void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t words[4]);

/* Each fills values[0 .. count) with the sequence's numbers offset .. offset + count. */

/* Multiples of 2^-23 plus 2^-24, so that 0 < u < 1 in either precision; scaled to low + (high - low) u. */
void random_fill_uniform(uint64_t seed, uint64_t stream, uint64_t offset, int64_t count, double low,
                         double high, real *values);
/* By Box and Muller's transform; no value is further than 6.8 deviations from the mean. */
void random_fill_normal(uint64_t seed, uint64_t stream, uint64_t offset, int64_t count, double mean,
                        double deviation, real *values);
/* Whole numbers from 0 to below - 1; 1 <= below <= 2^24 in single precision, where larger ones would be
 * rounded. */
void random_fill_integers(uint64_t seed, uint64_t stream, uint64_t offset, int64_t count, uint64_t below,
                          real *values);
/* The number at `index` of that sequence, for any `below` >= 1. */
uint64_t random_integer(uint64_t seed, uint64_t stream, uint64_t index, uint64_t below);

#endif
