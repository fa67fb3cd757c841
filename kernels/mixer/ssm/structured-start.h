/* structured-start.h: what S4's parameters start from, the HiPPO matrix of each set of A, B and P (s4,
 * section 3.1; httyh). */
#ifndef CLADE_KERNELS_STRUCTURED_START_H
#define CLADE_KERNELS_STRUCTURED_START_H

#include "block/hippo.h"
#include <math.h>
#include <string.h>

enum { STRUCTURED_MOST_STATES = 512, STRUCTURED_MOST_RANKS = 2 };

struct structured_start {
    double w[STRUCTURED_MOST_STATES], P[STRUCTURED_MOST_RANKS * STRUCTURED_MOST_STATES],
        B[STRUCTURED_MOST_STATES];
};

static inline enum hippo_measure structured_measure(const struct scope *s, int64_t set, int64_t sets)
{
    if (option_is(s, "init", "legt"))
        return HIPPO_LEGT;
    bool second = option_is(s, "init", "hippo") && 2 * set >= sets;
    return second || option_is(s, "init", "fout") ? HIPPO_FOUT : HIPPO_LEGS;
}

/* `part` gives the value of mode k's entry, from what is known of its set. */
static inline void fill_structured(const struct scope *s, int64_t sets, int64_t modes, int64_t numbers,
                                   real *values,
                                   double (*part)(const struct structured_start *start, int64_t entry))
{
    struct structured_start start;
    for (int64_t set = 0; set < sets; set++) {
        if (set == 0 || structured_measure(s, set, sets) != structured_measure(s, set - 1, sets))
            hippo_modes(structured_measure(s, set, sets), 2 * modes, start.w, start.P, start.B);
        for (int64_t i = 0; i < modes * numbers; i++)
            values[set * modes * numbers + i] = (real)part(&start, i);
    }
}

/* The eigenvalues of fout and legt do not decay by themselves. Here they do a little (1e-4 in the published
 * code): with a pole at the origin the Cauchy sums are large and the low rank takes most of them away
 * again. */
static inline double structured_log_decay(const struct structured_start *start, int64_t k)
{
    return log(fmax(-start->w[2 * k], 1e-2));
}

static inline double structured_frequency_of(const struct structured_start *start, int64_t k)
{
    return -start->w[2 * k + 1];
}

static inline double structured_input_of(const struct structured_start *start, int64_t i)
{
    return fmax(-2, fmin(2, start->B[i]));
}

static inline double structured_low_rank_of(const struct structured_start *start, int64_t i)
{
    return start->P[i];
}

static inline void fill_structured_decay(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)rank;
    fill_structured(s, shape[0], shape[1], 1, values, structured_log_decay);
}

static inline void fill_structured_frequency(const struct scope *s, int rank, const int64_t *shape,
                                             real *values)
{
    (void)rank;
    fill_structured(s, shape[0], shape[1], 1, values, structured_frequency_of);
}

static inline void fill_structured_input(const struct scope *s, int rank, const int64_t *shape, real *values)
{
    (void)rank;
    fill_structured(s, shape[1], shape[2], 2, values, structured_input_of);
}

/* Further ranks than the matrix needs start from zero, legt's second row is its own. */
static inline void fill_structured_low_rank(const struct scope *s, int rank, const int64_t *shape,
                                            real *values)
{
    int64_t row = shape[1] * shape[2] * 2;
    (void)rank;
    memset(values, 0, (size_t)(shape[0] * row) * sizeof *values);
    fill_structured(s, shape[1], shape[2], 2, values, structured_low_rank_of);
    if (structured_measure(s, 0, 1) != HIPPO_LEGT)
        return;
    struct structured_start start;
    hippo_modes(HIPPO_LEGT, 2 * shape[2], start.w, start.P, start.B);
    for (int64_t i = 0; i < row; i++)
        values[row + i] = (real)start.P[2 * shape[2] + i % (2 * shape[2])];
}

#endif
