#include "tensor/loops/matrix_step.h"
#include "tensor/loops/vector.h"
#include "tensor/vector_math.h"
#include <stddef.h>

enum { VECTORS = 4, WIDE = VECTORS * VECTOR_LANES };

/* What the token makes of each row i: the state decays by decay[i], q and k read it with the weights
 * query[i], key[i]. */
struct rows {
    real *restrict decay, *restrict query, *restrict key;
    real own; /* weight of the token's own value in y */
};

static struct rows prepare(const struct matrix_step *step)
{
    int64_t n = step->rows;
    struct rows rows = {step->scratch, step->scratch + n, step->scratch + 2 * n, 0};
    real common = step->scalar_decay ? real_exp(step->log_decay[0]) : 1, own = 0;
    const real *restrict q = step->q, *restrict k = step->k, *restrict log_decay = step->log_decay;
    if (log_decay && !step->scalar_decay)
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            rows.decay[i] = real_exp(log_decay[i]);
    else
        for (int64_t i = 0; i < n; i++)
            rows.decay[i] = common;
#pragma omp simd reduction(+ : own)
    for (int64_t i = 0; i < n; i++) {
        rows.query[i] = step->bonus ? q[i] : q[i] * rows.decay[i];
        rows.key[i] = k[i] * rows.decay[i];
        own += q[i] * k[i] * (step->bonus ? step->bonus[i] : 1);
    }
    rows.own = own;
    return rows;
}

/* y = M^T query and known = M^T key for some lanes, a multiple of the vector's. */
TEMPLATE void read_lanes(int vectors, const struct matrix_step *step, const struct rows *rows, int64_t lane,
                         real *restrict known)
{
    vector y[VECTORS], r[VECTORS];
    EACH (v, 0, vectors)
        y[v] = r[v] = vector_fill(0);
    for (int64_t i = 0; i < step->rows; i++) {
        const real *m = step->first + i * step->first_stride + lane;
        EACH (v, 0, vectors) {
            vector value = vector_load(m + v * VECTOR_LANES);
            y[v] += rows->query[i] * value;
            r[v] += rows->key[i] * value;
        }
    }
    EACH (v, 0, vectors) {
        vector_store(step->y + lane + v * VECTOR_LANES, y[v]);
        vector_store(known + lane + v * VECTOR_LANES, r[v]);
    }
}

static void read_state(const struct matrix_step *step, const struct rows *rows, real *restrict known)
{
    int64_t lane = 0;
    for (; lane + WIDE <= step->lanes; lane += WIDE)
        read_lanes(VECTORS, step, rows, lane, known);
    for (; lane + VECTOR_LANES <= step->lanes; lane += VECTOR_LANES)
        read_lanes(1, step, rows, lane, known);
    for (; lane < step->lanes; lane++) {
        real y = 0, r = 0;
        for (int64_t i = 0; i < step->rows; i++) {
            real value = step->first[i * step->first_stride + lane];
            y += rows->query[i] * value;
            r += rows->key[i] * value;
        }
        step->y[lane] = y;
        known[lane] = r;
    }
}

static void write_state(const struct matrix_step *step, const struct rows *rows, const real *restrict u)
{
    for (int64_t i = 0; i < step->rows; i++) {
        real *restrict to = step->last + i * step->lanes, k = step->k[i], decay = rows->decay[i];
        const real *restrict from = step->first + i * step->first_stride;
        if (step->first)
#pragma omp simd
            for (int64_t j = 0; j < step->lanes; j++)
                to[j] = decay * from[j] + k * u[j];
        else
#pragma omp simd
            for (int64_t j = 0; j < step->lanes; j++)
                to[j] = k * u[j];
    }
}

static void step_head(const struct matrix_step *step)
{
    struct rows rows = prepare(step);
    real *restrict u = step->scratch + 3 * step->rows, *restrict y = step->y;
    const real *restrict v = step->v;
    if (step->first)
        read_state(step, &rows, u);
    else
        for (int64_t j = 0; j < step->lanes; j++)
            u[j] = y[j] = 0;
    real beta = step->beta ? step->beta[0] : 1, known = step->delta ? 1 : 0;
#pragma omp simd
    for (int64_t j = 0; j < step->lanes; j++) {
        u[j] = beta * (v[j] - known * u[j]);
        y[j] = step->scale * (y[j] + rows.own * u[j]);
    }
    if (step->last)
        write_state(step, &rows, u);
}

LOOPS_TABLE(struct matrix_step_loops, matrix_step_loops) = {.step = step_head};
