#include "tensor/loops/self_delta.h"
#include "tensor/loops/rows.h"
#include "tensor/loops/vector.h"
#include "tensor/vector_math.h"
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* ---- A row times a matrix ------------------------------------------------------------------------------ */

enum {
    WIDEST = 12
}; /* vectors of accumulators: with one more for the tail they fit the 16 registers of AVX2 */

struct row_product {
    int64_t rows, columns, row; /* `row` from one row of the matrix to the next */
    const real *x, *matrix, *base;
    real *result; /* base + x matrix */
};

/* Some vectors of the columns from `lane` on, and with `tail` the last vector of all, which may overlap
 * them. */
TEMPLATE void multiply_lanes(int vectors, bool tail, const struct row_product *p, int64_t lane)
{
    vector sums[WIDEST], last = vector_fill(0);
    int64_t end = p->columns - VECTOR_LANES;
    EACH (v, 0, vectors)
        sums[v] = vector_load(p->base + lane + v * VECTOR_LANES);
    if (tail)
        last = vector_load(p->base + end);
    for (int64_t i = 0; i < p->rows; i++) {
        const real *row = p->matrix + i * p->row;
        EACH (v, 0, vectors)
            sums[v] += p->x[i] * vector_load(row + lane + v * VECTOR_LANES);
        if (tail)
            last += p->x[i] * vector_load(row + end);
    }
    EACH (v, 0, vectors)
        vector_store(p->result + lane + v * VECTOR_LANES, sums[v]);
    if (tail)
        vector_store(p->result + end, last);
}

static void multiply_row(const struct row_product *p)
{
    enum { WIDE = WIDEST * VECTOR_LANES };
    int64_t lane = 0, n = p->columns;
    for (; n - lane >= WIDE + VECTOR_LANES; lane += WIDE)
        multiply_lanes(WIDEST, false, p, lane);
    if (n - lane >= WIDE) {
        multiply_lanes(WIDEST, true, p, lane);
        return;
    }
    for (; n - lane >= VECTOR_LANES; lane += VECTOR_LANES)
        multiply_lanes(1, false, p, lane);
    if (lane < n && n >= VECTOR_LANES)
        multiply_lanes(0, true, p, lane);
    for (; lane < n && n < VECTOR_LANES; lane++) {
        real sum = p->base[lane];
        for (int64_t i = 0; i < p->rows; i++)
            sum += p->x[i] * p->matrix[i * p->row + lane];
        p->result[lane] = sum;
    }
}

/* ---- The fast weights ---------------------------------------------------------------------------------- */

/* The token before writes state += key written^T; then this one reads y = q state and known = k state. */
struct access {
    int64_t d;
    real *state;
    const real *key, *written, *q, *k;
    real *y, *known;
};

TEMPLATE void access_lanes(int vectors, const struct access *a, int64_t lane)
{
    enum { MOST = 4 };
    const real *restrict key = a->key, *restrict q = a->q, *restrict k = a->k;
    real *row = a->state + lane;
    int64_t d = a->d;
    vector written[MOST], y[MOST], known[MOST];
    EACH (v, 0, vectors) {
        written[v] = vector_load(a->written + lane + v * VECTOR_LANES);
        y[v] = known[v] = vector_fill(0);
    }
    for (int64_t i = 0; i < d; i++, row += d) {
        real key_i = key[i], q_i = q[i], k_i = k[i]; /* read before the stores, which might alias them */
        EACH (v, 0, vectors) {
            vector m = vector_load(row + v * VECTOR_LANES) + key_i * written[v];
            vector_store(row + v * VECTOR_LANES, m);
            y[v] += q_i * m;
            known[v] += k_i * m;
        }
    }
    EACH (v, 0, vectors) {
        vector_store(a->y + lane + v * VECTOR_LANES, y[v]);
        vector_store(a->known + lane + v * VECTOR_LANES, known[v]);
    }
}

static void access_state(const struct access *a)
{
    int64_t lane = 0;
    for (; lane + 4 * VECTOR_LANES <= a->d; lane += 4 * VECTOR_LANES)
        access_lanes(4, a, lane);
    for (; lane + VECTOR_LANES <= a->d; lane += VECTOR_LANES)
        access_lanes(1, a, lane);
    for (; lane < a->d; lane++) {
        real written = a->written[lane], y = 0, known = 0;
        for (int64_t i = 0; i < a->d; i++) {
            real m = a->state[i * a->d + lane] += a->key[i] * written;
            y += a->q[i] * m;
            known += a->k[i] * m;
        }
        a->y[lane] = y;
        a->known[lane] = known;
    }
}

static void write_state(int64_t d, const real *restrict key, const real *restrict written,
                        real *restrict state)
{
    for (int64_t i = 0; i < d; i++)
#pragma omp simd
        for (int64_t j = 0; j < d; j++)
            state[i * d + j] += key[i] * written[j];
}

/* ---- The tokens ---------------------------------------------------------------------------------------- */

/* What token t uses, from its program and the output before. */
static void use_program(const struct self_delta_head *h, const real *before, const real *program, real *used,
                        real *restrict squashed)
{
    int64_t d = h->d;
    if (before && h->mix) {
#pragma omp simd
        for (int64_t i = 0; i < d; i++)
            squashed[i] = real_tanh(before[i]);
        multiply_row(&(struct row_product){d, h->wide, h->mix_row, squashed, h->mix, program, used});
    } else {
        memcpy(used, program, (size_t)h->wide * sizeof *used);
        for (int64_t i = 0; i < d && before; i++)
            used[i] += before[i];
    }
    row_loops()->softmax(d, used, used);
    row_loops()->softmax(d, used + d, used + d);
    used[3 * d] = real_sigmoid(used[3 * d]);
}

/* The state is written once the next token reads it, so that it passes through the registers once a token:
 * this one's reading of what it writes itself is added apart. */
static void forward(const struct self_delta_head *h)
{
    int64_t d = h->d;
    real *restrict squashed = h->scratch, *restrict written = h->scratch + d;
    memset(written, 0, (size_t)d * sizeof *written);
    const real *before = h->output, *key = NULL;
    for (int64_t t = 0; t < h->steps; t++) {
        real *used = h->used + t * h->wide_row, *o = h->y + t * h->row, own, rate;
        use_program(h, before, h->program + t * h->wide_row, used, squashed);
        const real *q = used, *k = used + d, *v = used + 2 * d;
        access_state(&(struct access){d, h->state, key ? key : k, written, q, k, o, written});
        own = row_loops()->dot(d, q, k);
        rate = used[3 * d];
#pragma omp simd
        for (int64_t i = 0; i < d; i++) {
            written[i] = rate * (v[i] - written[i]);
            o[i] += own * written[i];
        }
        if (h->added)
            row_loops()->add(d, h->added + t * h->row, o);
        before = o;
        key = k;
    }
    write_state(d, key, written, h->state);
}

LOOPS_TABLE(struct self_delta_loops, self_delta_loops) = {.forward = forward};
