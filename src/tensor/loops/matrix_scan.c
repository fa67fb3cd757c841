#include "tensor/loops/matrix_scan.h"
#include "tensor/loops/matrix_panel.h"
#include "tensor/vector_math.h"
#include <stddef.h>

/* ---- Passes over the state ---- */

static void read_state(int64_t rows, const real *restrict state, const real *const *read, real *restrict out)
{
    const real *restrict coefficients[SCAN_BLOCK] = {read[0], read[1], read[2], read[3]};
    vector sum[SCAN_BLOCK][VECTORS];
    EACH (t, 0, SCAN_BLOCK)
        EACH (v, 0, VECTORS)
            sum[t][v] = vector_fill(0);
    for (int64_t i = 0; i < rows; i++)
        EACH (t, 0, SCAN_BLOCK)
            EACH (v, 0, VECTORS)
                sum[t][v] += coefficients[t][i] * vector_load(state + i * PANEL + v * VECTOR_LANES);
    EACH (t, 0, SCAN_BLOCK)
        EACH (v, 0, VECTORS)
            vector_store(out + t * PANEL + v * VECTOR_LANES, sum[t][v]);
}

TEMPLATE void write_with(int64_t rows, real *restrict state, const real *restrict row_fold,
                         const real *restrict lane_fold, const real *const *write, const real *restrict x)
{
    const real *restrict coefficients[SCAN_BLOCK] = {write[0], write[1], write[2], write[3]};
    vector added[SCAN_BLOCK][VECTORS], lanes[VECTORS];
    EACH (v, 0, VECTORS) {
        lanes[v] = lane_fold ? vector_load(lane_fold + v * VECTOR_LANES) : vector_fill(0);
        EACH (t, 0, SCAN_BLOCK)
            added[t][v] = vector_load(x + t * PANEL + v * VECTOR_LANES);
    }
    for (int64_t i = 0; i < rows; i++) {
        EACH (v, 0, VECTORS) {
            vector sum = vector_load(state + i * PANEL + v * VECTOR_LANES);
            if (row_fold)
                sum *= row_fold[i];
            if (lane_fold)
                sum *= lanes[v];
            EACH (t, 0, SCAN_BLOCK)
                sum += coefficients[t][i] * added[t][v];
            vector_store(state + i * PANEL + v * VECTOR_LANES, sum);
        }
    }
}

static void write_state(int64_t rows, real *state, const real *row_fold, const real *lane_fold,
                        const real *const *write, const real *x)
{
    if (row_fold)
        write_with(rows, state, row_fold, NULL, write, x);
    else if (lane_fold)
        write_with(rows, state, NULL, lane_fold, write, x);
    else
        write_with(rows, state, NULL, NULL, write, x);
}

static void meet(int64_t rows, const real *restrict a, const real *restrict b, real *restrict out)
{
    vector sum[VECTORS];
    EACH (v, 0, VECTORS)
        sum[v] = vector_fill(0);
    for (int64_t i = 0; i < rows; i++)
        EACH (v, 0, VECTORS)
            sum[v] +=
                vector_load(a + i * PANEL + v * VECTOR_LANES) * vector_load(b + i * PANEL + v * VECTOR_LANES);
    EACH (v, 0, VECTORS)
        vector_store(out + v * VECTOR_LANES, sum[v]);
}

/* ---- Vectors over rows ---- */

static void row_factors(int64_t rows, int64_t stride, const real *const *log_decay, real *restrict factors,
                        real *restrict fold)
{
    const real *restrict g0 = log_decay[0], *restrict g1 = log_decay[1];
    const real *restrict g2 = log_decay[2], *restrict g3 = log_decay[3];
#pragma omp simd
    for (int64_t i = 0; i < rows; i++) {
        real a0 = real_exp_below(g0[i]), a1 = real_exp_below(g1[i]), a2 = real_exp_below(g2[i]),
             a3 = real_exp_below(g3[i]);
        factors[i] = a0;
        factors[stride + i] = a1;
        factors[2 * stride + i] = a2;
        factors[3 * stride + i] = a3;
        fold[i] = a0 * a1 * a2 * a3;
    }
}

static void scale_writes(int64_t rows, int64_t stride, const real *restrict factors, const real *const *write,
                         real *restrict scaled)
{
    const real *restrict w0 = write[0], *restrict w1 = write[1], *restrict w2 = write[2],
                         *restrict w3 = write[3];
#pragma omp simd
    for (int64_t i = 0; i < rows; i++) {
        real after2 = factors[3 * stride + i], after1 = after2 * factors[2 * stride + i];
        scaled[i] = w0[i] * (after1 * factors[stride + i]);
        scaled[stride + i] = w1[i] * after1;
        scaled[2 * stride + i] = w2[i] * after2;
        scaled[3 * stride + i] = w3[i];
    }
}

enum { PAIRS = SCAN_BLOCK * (SCAN_BLOCK + 1) / 2, PAIR_ROOM = PAIRS + VECTOR_LANES };

/* VECTOR_LANES rows, or fewer at the end. */
struct pair_rows {
    int64_t at, left;
};

static inline vector load_rows(const struct pair_rows *rows, const real *x)
{
    if (rows->left >= VECTOR_LANES)
        return vector_load(x + rows->at);
    return vector_load_part(x + rows->at, rows->left);
}

/* Adds to sums[PAIR(t, s)]. Each query walks back over the earlier tokens, taking on their factors. */
#define PAIR(t, s) ((t) * ((t) + 1) / 2 + (s))
TEMPLATE void add_pairs(const struct pair_rows rows, int64_t stride, const real *restrict factors,
                        bool read_first, const real *restrict weight, const real *const *read,
                        const real *const *write, real *restrict scaled, vector *sums)
{
    vector k[SCAN_BLOCK], a[SCAN_BLOCK];
    EACH (t, 0, SCAN_BLOCK) {
        k[t] = load_rows(&rows, write[t]);
        a[t] = factors ? load_rows(&rows, factors + t * stride) : vector_fill(1);
        vector q = load_rows(&rows, read[t]), own = q * k[t];
        if (weight)
            own *= load_rows(&rows, weight);
        sums[PAIR(t, t)] += own;
        if (!read_first)
            q *= a[t];
        EACH (back, 1, t + 1) {
            sums[PAIR(t, t - back)] += q * k[t - back];
            q *= a[t - back];
        }
        if (factors)
            vector_store(scaled + t * stride + rows.at, q);
    }
}

TEMPLATE void pairs_with(int64_t rows, int64_t stride, const real *factors, bool read_first,
                         const real *weight, const real *const *read, const real *const *write, real *scaled,
                         struct scan_pairs *pairs)
{
    vector sums[PAIRS];
    real totals[PAIR_ROOM];
    EACH (i, 0, PAIRS)
        sums[i] = vector_fill(0);
    int64_t i = 0;
    for (; i + VECTOR_LANES <= rows; i += VECTOR_LANES)
        add_pairs((struct pair_rows){i, VECTOR_LANES}, stride, factors, read_first, weight, read, write,
                  scaled, sums);
    if (i < rows)
        add_pairs((struct pair_rows){i, rows - i}, stride, factors, read_first, weight, read, write, scaled,
                  sums);
    vector_sums(PAIRS, sums, totals);
    EACH (t, 0, SCAN_BLOCK)
        EACH (s, 0, t + 1)
            pairs->of[t][s] = totals[PAIR(t, s)];
}

static void pairs_of(int64_t rows, int64_t stride, const real *factors, bool read_first, const real *weight,
                     const real *const *read, const real *const *write, real *scaled,
                     struct scan_pairs *pairs)
{
    if (!factors && !weight)
        pairs_with(rows, stride, NULL, false, NULL, read, write, NULL, pairs);
    else if (!factors)
        pairs_with(rows, stride, NULL, false, weight, read, write, NULL, pairs);
    else if (!weight && !read_first)
        pairs_with(rows, stride, factors, false, NULL, read, write, scaled, pairs);
    else if (!weight)
        pairs_with(rows, stride, factors, true, NULL, read, write, scaled, pairs);
    else
        pairs_with(rows, stride, factors, true, weight, read, write, scaled, pairs);
}

/* ---- What the tokens of a block do to one another ---- */

/* 1 without factors, which the compiler then leaves out. */
TEMPLATE vector factor_of(const real *factors, int token, int64_t lane)
{
    if (!factors)
        return vector_fill(1);
    return vector_load(factors + token * PANEL + lane);
}

TEMPLATE void linear_with(int reads, int writes, const real *restrict factors, bool read_first,
                          const struct scan_pairs *pairs, real *const *out, real *const *x,
                          real *restrict fold)
{
    EACH (v, 0, VECTORS) {
        int64_t lane = v * VECTOR_LANES;
        vector a[SCAN_BLOCK], sum[2][SCAN_BLOCK], product = vector_fill(1);
        EACH (t, 0, SCAN_BLOCK) {
            a[t] = factor_of(factors, t, lane);
            vector before = product;
            product *= a[t];
            EACH (r, 0, reads)
                sum[r][t] = vector_load(out[r] + t * PANEL + lane) * (read_first ? before : product);
        }
        EACH (w, 0, writes)
            EACH (s, 0, SCAN_BLOCK) {
                vector added = vector_load(x[w] + s * PANEL + lane);
                EACH (t, s + 1, SCAN_BLOCK) {
                    vector later = added * a[t];
                    EACH (r, 0, reads)
                        sum[r][t] += pairs[r * writes + w].of[t][s] * (read_first ? added : later);
                    added = later;
                }
                if (factors)
                    vector_store(x[w] + s * PANEL + lane, added);
            }
        EACH (r, 0, reads)
            EACH (t, 0, SCAN_BLOCK)
                vector_store(out[r] + t * PANEL + lane, sum[r][t]);
        if (factors)
            vector_store(fold + lane, product);
    }
}

TEMPLATE void linear_of(int reads, int writes, const real *factors, bool read_first,
                        const struct scan_pairs *pairs, real *const *out, real *const *x, real *fold)
{
    if (!factors)
        linear_with(reads, writes, NULL, false, pairs, out, x, NULL);
    else if (!read_first)
        linear_with(reads, writes, factors, false, pairs, out, x, fold);
    else
        linear_with(reads, writes, factors, true, pairs, out, x, fold);
}

static void linear(int reads, int writes, const real *factors, bool read_first,
                   const struct scan_pairs *pairs, real *const *out, real *const *x, real *fold)
{
    if (reads == 2)
        linear_of(2, 1, factors, read_first, pairs, out, x, fold);
    else if (writes == 2)
        linear_of(1, 2, factors, read_first, pairs, out, x, fold);
    else
        linear_of(1, 1, factors, read_first, pairs, out, x, fold);
}

TEMPLATE void delta_with(int reads, const real *restrict factors, const real *restrict beta,
                         const struct scan_pairs *pairs, real *const *out, real *restrict x,
                         real *restrict fold)
{
    EACH (v, 0, VECTORS) {
        int64_t lane = v * VECTOR_LANES;
        vector u[SCAN_BLOCK], product = vector_fill(1);
        EACH (t, 0, SCAN_BLOCK) {
            vector a = factor_of(factors, t, lane);
            product *= a;
            vector known = vector_load(out[0] + t * PANEL + lane) * product;
            EACH (s, 0, t) {
                u[s] *= a;
                known += pairs[0].of[t][s] * u[s];
            }
            vector error = vector_load(x + t * PANEL + lane) - known;
            vector_store(out[0] + t * PANEL + lane, error);
            u[t] = beta[t] * error;
            if (reads == 2) {
                vector y = vector_load(out[1] + t * PANEL + lane) * product;
                EACH (s, 0, t + 1)
                    y += pairs[1].of[t][s] * u[s];
                vector_store(out[1] + t * PANEL + lane, y);
            }
        }
        EACH (t, 0, SCAN_BLOCK)
            vector_store(x + t * PANEL + lane, u[t]);
        if (factors)
            vector_store(fold + lane, product);
    }
}

static void delta(int reads, const real *factors, const real *beta, const struct scan_pairs *pairs,
                  real *const *out, real *x, real *fold)
{
    if (reads == 2 && factors)
        delta_with(2, factors, beta, pairs, out, x, fold);
    else if (reads == 2)
        delta_with(2, NULL, beta, pairs, out, x, fold);
    else if (factors)
        delta_with(1, factors, beta, pairs, out, x, fold);
    else
        delta_with(1, NULL, beta, pairs, out, x, fold);
}

TEMPLATE void delta_backward_with(const real *restrict factors, const real *restrict beta,
                                  const struct scan_pairs *pairs, real *restrict out, real *const *x,
                                  real *restrict fold)
{
    EACH (v, 0, VECTORS) {
        int64_t lane = v * VECTOR_LANES;
        vector dy[SCAN_BLOCK], dr[SCAN_BLOCK], product = vector_fill(1);
        EACH (t, 0, SCAN_BLOCK) {
            vector a = factor_of(factors, t, lane);
            product *= a;
            dy[t] = vector_load(x[0] + t * PANEL + lane);
            vector du = vector_load(out + t * PANEL + lane) * product + pairs[0].of[t][t] * dy[t];
            EACH (s, 0, t) {
                dy[s] *= a;
                dr[s] *= a;
                du += pairs[0].of[t][s] * dy[s] + pairs[1].of[t][s] * dr[s];
            }
            vector_store(out + t * PANEL + lane, du);
            dr[t] = -beta[t] * du;
        }
        EACH (t, 0, SCAN_BLOCK) {
            vector_store(x[0] + t * PANEL + lane, dy[t]);
            vector_store(x[1] + t * PANEL + lane, dr[t]);
        }
        if (factors)
            vector_store(fold + lane, product);
    }
}

static void delta_backward(const real *factors, const real *beta, const struct scan_pairs *pairs, real *out,
                           real *const *x, real *fold)
{
    if (factors)
        delta_backward_with(factors, beta, pairs, out, x, fold);
    else
        delta_backward_with(NULL, beta, pairs, out, x, fold);
}

LOOPS_TABLE(struct matrix_scan_loops, matrix_scan_loops) = {
    .panel = PANEL,
    .read = read_state,
    .write = write_state,
    .meet = meet,
    .row_factors = row_factors,
    .scale_writes = scale_writes,
    .pairs = pairs_of,
    .linear = linear,
    .delta = delta,
    .delta_backward = delta_backward,
};
