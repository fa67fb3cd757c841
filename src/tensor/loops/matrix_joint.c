#include "tensor/loops/matrix_joint.h"
#include "tensor/loops/matrix_panel.h"
#include "tensor/vector_math.h"
#include <stddef.h>
#include <string.h>

/* Tokens that read together, and rows that are written together: with VECTORS a row, sums for half of the
 * registers. */
#if VECTOR_BYTES == 64
enum { TILE = 8 };
#else
enum { TILE = 4 };
#endif

/* ---- Products of vectors over rows ---- */

enum { SIDE = 4 };

/* SIDE readers with SIDE writers. */
TEMPLATE void tile_of_products(int64_t rows, const real *const *read, const real *const *write,
                               real (*products)[JOINT])
{
    vector sums[SIDE * SIDE];
    real totals[SIDE * SIDE + VECTOR_LANES];
    EACH (i, 0, SIDE * SIDE)
        sums[i] = vector_fill(0);
    int64_t i = 0;
    for (; i + VECTOR_LANES <= rows; i += VECTOR_LANES)
        EACH (t, 0, SIDE)
            EACH (s, 0, SIDE)
                sums[t * SIDE + s] += vector_load(read[t] + i) * vector_load(write[s] + i);
    if (i < rows)
        EACH (t, 0, SIDE)
            EACH (s, 0, SIDE)
                sums[t * SIDE + s] +=
                    vector_load_part(read[t] + i, rows - i) * vector_load_part(write[s] + i, rows - i);
    vector_sums(SIDE * SIDE, sums, totals);
    EACH (t, 0, SIDE)
        EACH (s, 0, SIDE)
            products[t][s] = totals[t * SIDE + s];
}

static void products_of(int64_t rows, const real *const *read, const real *const *write,
                        struct joint_pairs *products)
{
    for (int t = 0; t < JOINT; t += SIDE)
        for (int s = 0; s <= t; s += SIDE)
            tile_of_products(rows, read + t, write + s, (real(*)[JOINT])(products->of[t] + s));
}

static void decay_pairs(const real *const *log_decay, const real *strength,
                        const struct joint_pairs *products, struct joint_pairs *pairs,
                        struct joint_factors *factors)
{
    _Alignas(64) real factor[JOINT], after[JOINT] = {0};
    for (int t = 0; t < JOINT; t++)
        factor[t] = log_decay[t][0];
#pragma omp simd
    for (int t = 0; t < JOINT; t++)
        factor[t] = real_exp_below(factor[t]);
    factors->fold = 1;
    for (int t = 0; t < JOINT; t++) {
        const real *restrict from = products->of[t];
        real *restrict to = pairs->of[t], decay = factor[t], own = strength ? strength[t] : 1;
        factors->until[t] = factors->fold *= decay;
#pragma omp simd
        for (int s = 0; s < JOINT; s++) {
            after[s] = s == t ? own : after[s] * decay; /* those past t are 0 */
            to[s] = after[s] * from[s];
        }
    }
    memcpy(factors->after, after, sizeof after);
}

/* ---- Passes over the state ---- */

/* The tokens from `first` on. */
TEMPLATE void read_tile(int64_t rows, int first, const real *restrict state, const real *const *read,
                        const real *until, const struct joint_pairs *pairs, const real *const *x,
                        real *const *out)
{
    const real *restrict coefficients[TILE];
    vector sum[TILE][VECTORS];
    EACH (t, 0, TILE) {
        coefficients[t] = read[first + t];
        EACH (v, 0, VECTORS)
            sum[t][v] = vector_fill(0);
    }
    for (int64_t i = 0; i < rows; i++)
        EACH (t, 0, TILE)
            EACH (v, 0, VECTORS)
                sum[t][v] += coefficients[t][i] * vector_load(state + i * PANEL + v * VECTOR_LANES);
    if (until)
        EACH (t, 0, TILE)
            EACH (v, 0, VECTORS)
                sum[t][v] *= until[first + t];
    for (int s = 0; s < first; s++)
        EACH (t, 0, TILE)
            EACH (v, 0, VECTORS)
                sum[t][v] += pairs->of[first + t][s] * vector_load(x[s] + v * VECTOR_LANES);
    EACH (s, 0, TILE)
        EACH (t, s, TILE)
            EACH (v, 0, VECTORS)
                sum[t][v] += pairs->of[first + t][first + s] * vector_load(x[first + s] + v * VECTOR_LANES);
    EACH (t, 0, TILE)
        EACH (v, 0, VECTORS)
            vector_store(out[first + t] + v * VECTOR_LANES, sum[t][v]);
}

static void read_state(int64_t rows, int64_t tokens, const real *state, const real *const *read,
                       const real *until, const struct joint_pairs *pairs, const real *const *x,
                       real *const *out)
{
    for (int first = 0; first < tokens; first += TILE)
        read_tile(rows, first, state, read, until, pairs, x, out);
}

TEMPLATE void write_rows(int count, int64_t tokens, real *restrict state, real fold, const real *const *write,
                         int64_t row, const real *restrict x)
{
    vector sum[TILE][VECTORS];
    EACH (i, 0, count)
        EACH (v, 0, VECTORS)
            sum[i][v] = fold * vector_load(state + (row + i) * PANEL + v * VECTOR_LANES);
    for (int64_t s = 0; s < tokens; s++) {
        const real *restrict coefficients = write[s] + row;
        EACH (i, 0, count)
            EACH (v, 0, VECTORS)
                sum[i][v] += coefficients[i] * vector_load(x + s * PANEL + v * VECTOR_LANES);
    }
    EACH (i, 0, count)
        EACH (v, 0, VECTORS)
            vector_store(state + (row + i) * PANEL + v * VECTOR_LANES, sum[i][v]);
}

static void write_state(int64_t rows, int64_t tokens, real *restrict state,
                        const struct joint_factors *factors, const real *const *write, const real *const *x)
{
    _Alignas(64) real scaled[JOINT * PANEL];
    for (int64_t s = 0; s < tokens; s++)
        EACH (v, 0, VECTORS)
            vector_store(scaled + s * PANEL + v * VECTOR_LANES,
                         (factors ? factors->after[s] : 1) * vector_load(x[s] + v * VECTOR_LANES));
    real fold = factors ? factors->fold : 1;
    int64_t row = 0;
    for (; row + TILE <= rows; row += TILE)
        write_rows(TILE, tokens, state, fold, write, row, scaled);
    for (; row < rows; row++)
        write_rows(1, tokens, state, fold, write, row, scaled);
}

LOOPS_TABLE(struct matrix_joint_loops, matrix_joint_loops) = {
    .products = products_of,
    .decay = decay_pairs,
    .read = read_state,
    .write = write_state,
};
